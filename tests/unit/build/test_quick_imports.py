"""The garbage collector is set aside for the block alone, and stays off where it was off."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from recache_ray.build.quick_imports import quick_imports


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.enable()


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_as_before_behind_the_block(collects: bool) -> None:
    if not collects:
        gc.disable()
    with pytest.raises(ImportError), quick_imports():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled() is collects
