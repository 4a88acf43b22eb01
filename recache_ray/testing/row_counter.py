"""Counts what really runs, apart from any caching code."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from torch import nn


class RowCounter:
    """Counts the batch rows that run through each block of a FLUX transformer.

    It listens inside the blocks, at their attention, which a bypassed block never reaches.

    Example: ``with RowCounter(pipe.transformer) as counter: pipe(...)`` then ``counter.rows``.
    """

    def __init__(self, transformer: Any) -> None:
        blocks = (*transformer.transformer_blocks, *transformer.single_transformer_blocks)
        self._attentions = [block.attn for block in blocks]
        self.rows = [0] * len(blocks)

    def __enter__(self) -> Self:
        self._handles = [
            attention.register_forward_pre_hook(self._count(index), with_kwargs=True)
            for index, attention in enumerate(self._attentions)
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def _count(self, index: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            self.rows[index] += kwargs["hidden_states"].shape[0]

        return hook
