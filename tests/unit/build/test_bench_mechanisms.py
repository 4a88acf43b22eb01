"""Every mechanism side by side, on the tiny pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recache_ray.build import bench_mechanisms as module
from recache_ray.caching.registry import CUTS, KINDS, parse_mechanism
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.rollouts.inline import InlinePool
from recache_ray.testing.tiny_worker import NUM_STEPS, build_tiny_worker


def make_config(folder: Path, **bench: Any) -> Config:
    return load_config(
        {
            "run": {"dir": str(folder / "run")},
            "references": {"dir": str(folder / "references")},
            "model": {"num_steps": NUM_STEPS},
            "prompts": {"num_train": 1, "num_validation": 1, "num_test": 2},
            "learning": {"budgets": "3..4"},
            "evaluation": {"budgets": "2,4"},
            "bench": bench,
        }
    )


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def open_inline(config: Config, on_status: Any) -> Iterator[InlinePool]:
        yield InlinePool(build_tiny_worker(config.references.dir, "bench"))

    monkeypatch.setattr(module, "open_pool", open_inline)


@pytest.mark.usefixtures("inline")
def test_every_kind_and_cut_is_measured_and_dearer_cached_steps_save_less(tmp_path: Path) -> None:
    seen: list[str] = []
    text = module.bench_mechanisms(make_config(tmp_path, prompts=2), seen.append)
    figures = json.loads((tmp_path / "run" / "bench_mechanisms.json").read_text())
    rows = {row["mechanism"]: row for row in figures["rows"]}
    specs = [parse_mechanism(name) for name in rows]
    assert {spec.kind for spec in specs} == set(KINDS) and {spec.cut for spec in specs} == set(CUTS)
    assert figures["schedules"] == {"2": [0, 4], "4": [0, 2, 4, 6]} and figures["prompts"] == 2
    assert all(set(row["lpips"]) == {"2", "4"} and min(row["lpips"].values()) > 0 for row in rows.values())
    dearer = [rows[name] for name in ("reuse", "reuse_modules", "delta")]
    shares = [row["cached_flops_share"] for row in dearer]
    assert shares == sorted(shares) and shares[0] < shares[1] < shares[2] < 1
    for row in dearer:
        expected = NUM_STEPS / (2 + (NUM_STEPS - 2) * row["cached_flops_share"])
        assert row["flops_ratio"]["2"] == pytest.approx(expected)
    assert all(name in text for name in rows) and "bench_mechanisms.json" in text


@pytest.mark.usefixtures("inline")
def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"there are 2 test prompts; raise prompts\.num_test"):
        module.bench_mechanisms(make_config(tmp_path, prompts=3), print)
    with pytest.raises(BadInputError, match="did you mean delta"):
        module.bench_mechanisms(make_config(tmp_path, prompts=1, mechanisms=["delte"]), print)
