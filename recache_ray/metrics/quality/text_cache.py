"""Text features of the prompts met last: a worker scores the same prompt many times."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor

_LIMIT = 256


class TextCache:
    """Remembers ``encode(prompt)`` for the prompts used last."""

    def __init__(self, encode: Callable[[str], Tensor], limit: int = _LIMIT) -> None:
        self._encode, self._limit = encode, limit
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    def __call__(self, prompt: str) -> Tensor:
        """The features of one prompt."""
        if prompt not in self._kept:
            self._kept[prompt] = self._encode(prompt)
        self._kept.move_to_end(prompt)
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return self._kept[prompt]
