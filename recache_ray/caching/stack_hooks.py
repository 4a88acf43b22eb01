"""Hooks on the modules around and inside the block stack, which ask one driver what to do at every call.

Shapes: R batch rows, N image tokens, D features.
"""

from __future__ import annotations

from typing import Any, Protocol

from diffusers.hooks.hooks import BaseState, ModelHook, StateManager
from torch import Tensor, nn

from recache_ray.caching.block_call import BlockCall
from recache_ray.caching.cut import BlockStack


class StackDriver(Protocol):
    """What decides between computing and predicting; both interceptors are one."""

    @property
    def computing(self) -> bool | None:
        """Whether the transformer call under way computes its blocks; None where it is none of the driver's."""
        ...

    def begin(self, context_name: str | None) -> None:
        """A transformer call reaches its first hooked module, in the guidance branch of this name."""
        ...

    def enter_stack(self, call: BlockCall) -> None:
        """The first block is called; after this :attr:`computing` holds for the whole stack."""
        ...

    def leave_stack(self, image_tokens: Tensor) -> None:
        """Image tokens [R, N, D] leave the last block after it was computed."""
        ...

    def forecast_stack(self) -> Tensor:
        """What leaves the bypassed stack: the tokens that entered it plus the predicted residual [R, N, D]."""
        ...

    def reset(self) -> None:
        """The pipeline ended a generation."""
        ...


class DriverHook(ModelHook):
    """A hook that serves one driver; an ``entry`` hears of guidance branches and of the generation's end."""

    def __init__(self, driver: StackDriver, entry: bool = False) -> None:
        super().__init__()
        self.driver = driver
        self._is_stateful = entry
        state_class: Any = BaseState
        self.contexts = StateManager(state_class)

    @property
    def context_name(self) -> str | None:
        """The pipeline's name for the guidance branch, where it gives one."""
        return self.contexts._context.name if self.contexts._context is not None else None

    def reset_state(self, module: nn.Module) -> nn.Module:
        self.driver.reset()
        return module


class BlockHook(DriverHook):
    """On a block, or on a module that only prepares input of the blocks (``index`` is None).

    An ``entry`` is the module that a transformer call reaches first: it begins the call, so that nothing wraps the
    transformer itself, whose forward CPU offloading replaces after every generation. ``first`` is the index of the
    block with which the driver's part of the stack starts.
    """

    def __init__(
        self, driver: StackDriver, stack: BlockStack, index: int | None, entry: bool = False, first: int = 0
    ) -> None:
        super().__init__(driver, entry)
        self._stack = stack
        self._index = index
        self._entry = entry
        self._first = index == first
        self._last = index == len(stack.blocks) - 1

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        original: Any = self.fn_ref.original_forward
        driver = self.driver
        if self._entry:
            driver.begin(self.context_name)
        if driver.computing is None:
            return original(*args, **kwargs)
        if self._index is None:
            return original(*args, **kwargs) if driver.computing else args[0]
        call = BlockCall(self._stack, self._index, original, args, kwargs)
        if self._first:
            driver.enter_stack(call)
        if not driver.computing:
            return call.bypass(driver.forecast_stack() if self._last else call.image_tokens)
        output = call.run()
        if self._last:
            driver.leave_stack(call.image_tokens_out())
        return output
