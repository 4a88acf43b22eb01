"""Importing the model libraries without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Set garbage collection aside while the block imports libraries and loads a model.

    Importing torch, transformers and diffusers makes hundreds of thousands of objects that stay, through which some
    thousand collections would search, a seventh of the time, for next to nothing.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
