"""Rival searches from configuration to schedules, through a pool without a model."""

import math
from pathlib import Path
from statistics import fmean

import pytest

from recache_ray.baselines.annealing import annealing_search
from recache_ray.build.searches import Searched, evaluations_per_budget, find_by_search, search_requests
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score
from recache_ray.types import MechanismSpec, RolloutTask, Task

SPEC, NUM_STEPS = MechanismSpec("taylor", 1), 12
SCHEDULES = {k: Schedule(NUM_STEPS, tuple(range(k))) for k in (3, 4)}
TABLE = ScheduleTable(NUM_STEPS, SCHEDULES, provenance={"evaluations": 81})


class Pool(ScriptedPool):
    """Takes task ids again, as phases do that follow each other."""

    def __init__(self) -> None:
        super().__init__(gap_score)
        self.searched: list[RolloutTask] = []

    def submit(self, task: Task, snapshot: object = None) -> None:
        self.tasks.clear()
        super().submit(task)
        if isinstance(task, RolloutTask):
            self.searched.append(task)


def make_config(folder: Path, fidelity: str = "linear", **evaluation: object) -> Config:
    return load_config(
        {
            "run": {"dir": str(folder / "run"), "seed": 4},
            "model": {"num_steps": NUM_STEPS},
            "learning": {"budgets": "3..4"},
            "reward": {"fidelity": fidelity},
            "evaluation": {"baselines": ["uniform", "budcache"], **evaluation},
        }
    )


def find(config: Config, pool: Pool, **model: str) -> Searched:
    return find_by_search(config, pool, {"id": "m", **model}, SPEC, TABLE, lambda record: None)


def test_it_is_the_published_search_on_the_logarithm_of_one_prompts_cost_at_the_learners_evaluations(
    tmp_path: Path,
) -> None:
    config, pool = make_config(tmp_path), Pool()
    found = find(config, pool)
    (request,) = search_requests(config)
    assert request.prompt.split == "train" and {task.request for task in pool.searched} == {request}
    for budget in (3, 4):
        alone = annealing_search(
            lambda schedule: -math.log(-gap_score(request, schedule).reward), NUM_STEPS, budget, evaluations=40, seed=4
        )
        assert found.schedules["budcache"][budget] == (alone.schedule,)
        assert found.work["budcache", budget].generations == alone.evaluations <= 40


def test_several_prompts_share_the_evaluations_and_are_judged_on_their_mean(tmp_path: Path) -> None:
    config, pool = make_config(tmp_path, search_prompts=4), Pool()
    found = find(config, pool)
    requests = search_requests(config)
    alone = annealing_search(
        lambda schedule: -math.log(fmean(-gap_score(each, schedule).reward for each in requests)),
        NUM_STEPS, 3, evaluations=10, seed=4,
    )  # fmt: skip
    assert found.schedules["budcache"][3] == (alone.schedule,)
    assert found.work["budcache", 3].generations == 4 * alone.evaluations


def test_a_search_is_kept_and_another_one_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first = find(make_config(tmp_path), Pool())
    unused = Pool()
    assert find(make_config(tmp_path), unused) == first and not unused.searched
    folders = {path.name for path in (tmp_path / "run" / "calibration").iterdir()}
    assert len(folders) == 1 and next(iter(folders)).startswith("budcache-")
    others = [
        (make_config(tmp_path, search_evaluations=20), {}),
        (make_config(tmp_path, fidelity="log"), {}),
        (make_config(tmp_path), {"revision": "other weights"}),
    ]
    for count, (config, model) in enumerate(others, start=2):
        pool = Pool()
        find(config, pool, **model)
        assert pool.searched and len(list((tmp_path / "run" / "calibration").iterdir())) == count
    assert find(make_config(tmp_path), unused, device="cuda") == first and not unused.searched


def test_without_the_learners_number_of_evaluations_it_has_to_be_given(tmp_path: Path) -> None:
    assert evaluations_per_budget(make_config(tmp_path), TABLE) == 40
    bare = ScheduleTable(NUM_STEPS, SCHEDULES)
    assert evaluations_per_budget(make_config(tmp_path, search_evaluations=7), bare) == 7
    with pytest.raises(BadInputError, match="set the number of evaluations per budget"):
        evaluations_per_budget(make_config(tmp_path), bare)
