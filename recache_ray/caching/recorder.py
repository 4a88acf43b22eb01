"""Watches a generation and keeps the block stack's residual of every step; nothing is cached or changed.

Shapes: R batch rows, N image tokens, D features; T steps.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import torch
from diffusers.hooks.hooks import ModelHook
from torch import Tensor, nn

from recache_ray.caching.cut import BlockStack, block_stack
from recache_ray.caching.hook_set import HookSet
from recache_ray.errors import RunFailedError


class ResidualRecorder:
    """Hooks on the first and the last block of a transformer, through the same cut that schedules use.

    Args:
        transformer: the instance to watch; it must have no schedule attached.
        forwards_per_step: transformer calls per step; the rows of a step's calls are put behind one another.

    Raises:
        BadInputError: if the transformer's class is not known, or on entering if a schedule is attached to it.

    Example:
        ``with ResidualRecorder(pipe.transformer) as recorder: pipe("a cat"); residuals = recorder.residuals(50)``
    """

    def __init__(self, transformer: nn.Module, forwards_per_step: int = 1) -> None:
        stack = block_stack(transformer)
        self._forwards_per_step = forwards_per_step
        self._entered: Tensor | None = None
        self._recorded: list[Tensor] = []
        last = len(stack.blocks) - 1
        self._hooks = HookSet(
            stack.transformer, [(stack.blocks[index], _Hook(self, stack, index)) for index in sorted({0, last})]
        )

    def __enter__(self) -> Self:
        self._recorded.clear()
        self._hooks.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hooks.detach()

    def residuals(self, num_steps: int) -> tuple[Tensor, ...]:
        """The residual of each of T steps [R, N, D], in the model's dtype and on its device.

        Raises:
            RunFailedError: if the generation watched made another number of transformer calls.
        """
        expected = num_steps * self._forwards_per_step
        if len(self._recorded) != expected:
            raise RunFailedError(
                f"calibration: the pipeline called its transformer {len(self._recorded)} times, {num_steps} steps need "
                f"{expected}; this pipeline cannot be calibrated"
            )
        per_step = self._forwards_per_step
        return tuple(torch.cat(self._recorded[at : at + per_step]) for at in range(0, expected, per_step))

    def _enter_stack(self, image_tokens: Tensor) -> None:
        self._entered = image_tokens

    def _leave_stack(self, image_tokens: Tensor) -> None:
        assert self._entered is not None
        self._recorded.append((image_tokens - self._entered).detach())
        self._entered = None


class _Hook(ModelHook):
    """On the first block, the last one, or the only one."""

    def __init__(self, recorder: ResidualRecorder, stack: BlockStack, index: int) -> None:
        super().__init__()
        self._recorder = recorder
        self._stack = stack
        self._index = index

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self._index == 0:
            self._recorder._enter_stack(self._stack.image_tokens_in(0, args, kwargs))
        original: Any = self.fn_ref.original_forward
        output = original(*args, **kwargs)
        if self._index == len(self._stack.blocks) - 1:
            self._recorder._leave_stack(self._stack.image_tokens_out(self._index, output))
        return output
