"""What a training of a search reserves: itself and its rollout actors, all at once."""

from __future__ import annotations

import pytest

from recache_ray.distributed.tuning import bundles


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers", "expected"),
    [
        (1.0, 0.0, 2, ({}, {"CPU": 1.0}, {"CPU": 1.0})),
        (1.0, 0.5, 3, ({}, *({"CPU": 1.0, "GPU": 0.5},) * 3)),
        (0.0, 1.0, 1, ({}, {"GPU": 1.0})),
        (2.0, 1.0, 0, ({"CPU": 2.0, "GPU": 1.0},)),
        (0.0, 0.0, 0, ({"CPU": 1.0},)),
        (0.0, 0.0, 4, ({"CPU": 1.0},)),
    ],
)
def test_one_bundle_an_actor(cpus: float, gpus: float, workers: int, expected: tuple[dict[str, float], ...]) -> None:
    assert bundles(cpus, gpus, workers) == expected
