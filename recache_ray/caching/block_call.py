"""One call of one block, which may be looked into before it runs and runs at most once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from recache_ray.caching.cut import BlockStack


class BlockCall:
    """A block's forward with its arguments. Shapes: R batch rows, N image tokens, D features.

    Args:
        stack: the stack the block belongs to.
        index: its place there.
        forward: the block's own forward.
        args, kwargs: what the transformer passed.
    """

    def __init__(
        self,
        stack: BlockStack,
        index: int,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._stack = stack
        self._index = index
        self._forward = forward
        self._args = args
        self._kwargs = kwargs
        self._output: Any = None

    @property
    def image_tokens(self) -> Tensor:
        """What enters the block [R, N, D]."""
        return self._stack.image_tokens_in(self._index, self._args, self._kwargs)

    @property
    def modulated_input(self) -> Tensor:
        """What the attention of block 0 reads [R, N, D]; runs its first norm."""
        return self._stack.modulated_input(self._args, self._kwargs)

    @property
    def has_run(self) -> bool:
        """Whether the block was computed."""
        return self._output is not None

    def run(self) -> Any:
        """The block's output, computed at the first time of asking."""
        if self._output is None:
            self._output = self._forward(*self._args, **self._kwargs)
        return self._output

    def image_tokens_out(self) -> Tensor:
        """The image tokens [R, N, D] of the block's output."""
        return self._stack.image_tokens_out(self._index, self.run())

    def bypass(self, image_tokens: Tensor) -> Any:
        """What the block would return if it let text tokens pass and gave these image tokens."""
        return self._stack.bypass(self._index, self._args, self._kwargs, image_tokens)
