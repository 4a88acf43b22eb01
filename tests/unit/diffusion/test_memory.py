"""Memory foretold against the published table, and the refusal with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from recache_ray.caching.footprint import footprint
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion import device_memory
from recache_ray.diffusion.architecture import Size, architecture
from recache_ray.diffusion.memory import GIB, MemoryNeed, check_fits, memory_need
from recache_ray.errors import BadInputError

# Residual of the whole stack in bfloat16, all guidance branches: tokens x features x 2 bytes x branches.
WHOLE_STACK_MB = {
    ("flux_dev", Size(1024, 1024)): 25.2,
    ("wan21_1_3b", Size(480, 832, 81)): 201,
    ("wan21_14b", Size(480, 832, 81)): 671,
    ("hunyuan_video", Size(544, 960, 129)): 414,
    ("hunyuan_video", Size(720, 1280, 129)): 730,
}


@pytest.mark.parametrize(("name", "size"), WHOLE_STACK_MB, ids=str)
def test_one_factor_of_the_published_models(name: str, size: Size) -> None:
    need = memory_need(architecture(name), size, "bfloat16", footprint(Reuse()))
    assert need.held(1) / 1e6 == pytest.approx(WHOLE_STACK_MB[name, size], rel=0.01)
    taylor = memory_need(architecture(name), size, "float32", footprint(TaylorSeer(2)))
    assert taylor.held(4) == 4 * 3 * 2 * need.held(1)


def test_one_branch_at_a_time_is_updated() -> None:
    need = MemoryNeed(weights=0, residual=10, branches=2, footprint=footprint(TaylorSeer(1)))
    assert (need.held(3), need.peak(3)) == (3 * 10 * 2 * 2, 3 * 10 * (4 + 2))


def test_the_most_siblings_are_the_last_that_fit() -> None:
    need = memory_need(architecture("wan21_14b"), Size(480, 832, 81), "bfloat16", footprint(TaylorSeer(1)))
    available = 40 * GIB
    most = need.most_siblings(available)
    check_fits(need, most, available, device="GPU", mechanism="taylor1")
    assert need.total(most) <= available < need.total(most + 1)
    with pytest.raises(BadInputError) as caught:
        check_fits(need, most + 1, available, device="GPU X", mechanism="taylor1")
    message = str(caught.value)
    assert "26.61 GiB of weights" in message and f"runtime.max_batch = {most + 1}" in message
    assert "GPU X has 40.00 GiB free" in message and f"set runtime.max_batch={most}" in message
    assert "lower mechanism.order" in message and "mechanism=reuse" in message and "\n" not in message


def test_no_sibling_and_not_even_the_weights() -> None:
    need = MemoryNeed(weights=4 * GIB, residual=3 * GIB, branches=1, footprint=footprint(Reuse()))
    with pytest.raises(BadInputError, match="make smaller pictures or take a device with more memory"):
        check_fits(need, 1, 8 * GIB, device="GPU", mechanism="reuse")
    with pytest.raises(BadInputError, match=r"4\.00 GiB of weights, GPU has 2\.00 GiB free; use a device"):
        check_fits(need, 1, 2 * GIB, device="GPU", mechanism="reuse")


def test_free_main_memory_is_bounded_by_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9000 kB\nMemAvailable:  4000 kB\n")
    monkeypatch.setattr(device_memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(device_memory, "_CGROUP", tmp_path)
    assert device_memory.free_memory("cpu") == (4000 * 1024, "this machine")
    for name, text in (("memory.max", "max"), ("memory.current", "900000"), ("memory.stat", "inactive_file 100000")):
        (tmp_path / name).write_text(text)
    assert device_memory.free_memory("cpu")[0] == 4000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    assert device_memory.free_memory("cpu")[0] == 200_000
    (tmp_path / "memory.current").write_text("2000000")
    assert device_memory.free_memory("cpu")[0] == 0
    for name in ("meminfo", "memory.max"):
        (tmp_path / name).unlink()
    assert device_memory.free_memory("cpu")[0] > 10**8
