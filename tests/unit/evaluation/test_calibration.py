"""Edges through a pool that needs no model, and the store."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.calibration.edges import calibrate_edges
from recache_ray.evaluation.calibration.residuals import calibrate_residuals
from recache_ray.evaluation.calibration.store import load_calibration, save_calibration
from recache_ray.evaluation.work import Work
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score, held_out_requests
from recache_ray.types import MechanismSpec

SPEC = MechanismSpec("taylor", 1)
REQUESTS = held_out_requests(3)
KEY = {"model.id": "m", "num_steps": 8, "mechanism": "taylor1"}
COST = Work(3, 24, 20, 1.5)
FIGURES = {"weights": np.array([[0.0, 0.5], [math.inf, 0.1]])}


def test_edge_weights_are_the_mean_pixel_errors_of_the_generations_that_cache_the_steps_between() -> None:
    pool = ScriptedPool(gap_score)
    weights, cost = calibrate_edges(pool, REQUESTS, SPEC, 14, 10)
    for i in range(14):
        for j in range(15):
            if not 1 <= j - i <= 10:
                assert weights[i, j] == math.inf
                continue
            schedule = Schedule.from_steps(14, {*range(i + 1), *range(j, 14)})
            errors = [math.sqrt(gap_score(request, schedule).metrics["lpips"]) for request in REQUESTS]
            assert weights[i, j] == pytest.approx(np.mean(errors))
    edges = int(np.isfinite(weights).sum()) - 14
    assert len(pool.tasks) == 3 * math.ceil(edges / 64) > 3
    assert cost.generations == 3 * edges and 14 < cost.forwards_executed < cost.forwards_requested


def test_a_calibration_that_lacks_a_request_is_no_calibration() -> None:
    with pytest.raises(RunFailedError, match="task 1 failed: scripted failure"):
        calibrate_edges(ScriptedPool(gap_score, failing={1}), REQUESTS, SPEC, 8, 4)
    with pytest.raises(RunFailedError, match="task 0 failed: scripted failure"):
        calibrate_residuals(ScriptedPool(gap_score, failing={0, 1, 2}), REQUESTS, SPEC)


def test_store_gives_back_every_bit_and_keeps_the_cost(tmp_path: Path) -> None:
    folder = tmp_path / "calibration"
    assert load_calibration(folder, "edges", KEY) is None
    save_calibration(folder, "edges", KEY, FIGURES, COST)
    stored = load_calibration(folder, "edges", dict(reversed(KEY.items())))
    assert stored is not None and stored[0]["weights"].tobytes() == FIGURES["weights"].tobytes()
    assert stored[1] == COST
    assert load_calibration(folder, "residuals", KEY) is None
    assert json.loads((folder / "edges.json").read_text())["cost"]["forwards_executed"] == 20
    assert sorted(path.name for path in folder.iterdir()) == ["edges.json", "edges.safetensors"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"model.id": "n"},
            "was calibrated with model.id = m, this evaluation needs n; use another run.dir, or delete",
        ),
        ({"num_steps": 20, "mechanism": "reuse"}, "with mechanism = taylor1, num_steps = 8, .* needs reuse, 20;"),
        ({"lemica_max_gap": 9}, "lemica_max_gap = absent, this evaluation needs 9"),
    ],
)
def test_a_calibration_of_something_else_is_refused(tmp_path: Path, changed: dict, message: str) -> None:
    save_calibration(tmp_path, "edges", KEY, FIGURES, COST)
    with pytest.raises(BadInputError, match=message):
        load_calibration(tmp_path, "edges", {**KEY, **changed})


def test_a_killed_writer_leaves_nothing_that_counts_and_damage_is_found(tmp_path: Path) -> None:
    save_calibration(tmp_path, "edges", KEY, FIGURES, COST)
    figures, document = tmp_path / "edges.safetensors", tmp_path / "edges.json"
    data, text = figures.read_bytes(), document.read_text()
    document.unlink()
    assert load_calibration(tmp_path, "edges", KEY) is None
    for broken in ("{}", text[:50], text.replace('"sha256": "', '"sha256": "0')):
        document.write_text(broken)
        with pytest.raises(BadInputError, match=r"is damaged .*; delete"):
            load_calibration(tmp_path, "edges", KEY)
    document.write_text(text)
    figures.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BadInputError, match="does not match its checksum"):
        load_calibration(tmp_path, "edges", KEY)
    figures.unlink()
    with pytest.raises(BadInputError, match="is damaged"):
        load_calibration(tmp_path, "edges", KEY)
