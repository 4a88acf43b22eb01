"""Searches driven side by side through a pool without a model."""

import math
from pathlib import Path
from statistics import fmean

import pytest

from recache_ray.baselines.annealing import annealing_search
from recache_ray.baselines.searches import SEARCHES
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.search.journal import SearchJournal
from recache_ray.evaluation.search.run import FAILED, Found, Planned, run_searches
from recache_ray.schedules import Schedule
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import gap_score, held_out_requests
from recache_ray.types import GenerationRequest, MechanismSpec, RewardBreakdown, RolloutTask

SPEC = MechanismSpec("taylor", 1)
NUM_STEPS, BUDGETS, EVALUATIONS = 14, (2, 4, 6), 60
REQUESTS = held_out_requests(2)


def uneven(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    """Gaps, and a preference among equal ones, so that the best schedule is unique."""
    tilt = 1 + sum(schedule.compute_steps) / 1000
    return RewardBreakdown(-gap_score(request, schedule).metrics["lpips"] * tilt, {})


def judge(rewards: list[float]) -> float:
    return -math.log(-fmean(rewards))


def planned(folder: Path, names: tuple[str, ...] = ("budcache", "random_search")) -> dict[tuple[str, int], Planned]:
    return {
        (name, budget): Planned(
            SEARCHES[name](NUM_STEPS, budget, evaluations=EVALUATIONS, seed=5),
            SearchJournal(folder / name / f"k{budget:02}.jsonl", NUM_STEPS),
            EVALUATIONS,
        )
        for name in names
        for budget in BUDGETS
    }


def search(folder: Path, pool: ScriptedPool, **kwargs) -> dict[tuple[str, int], Found]:
    return run_searches(pool, planned(folder), REQUESTS, SPEC, judge, **kwargs)


def test_each_search_finds_what_it_finds_alone_whatever_the_pool(tmp_path: Path) -> None:
    found = search(tmp_path / "a", ScriptedPool(uneven, capacity=1))
    assert found == search(tmp_path / "b", ScriptedPool(uneven, capacity=7))
    for budget in BUDGETS:
        alone = annealing_search(
            lambda schedule: judge([uneven(request, schedule).reward for request in REQUESTS]),
            NUM_STEPS, budget, evaluations=EVALUATIONS, seed=5,
        )  # fmt: skip
        assert found["budcache", budget].result == alone


def test_work_is_that_of_distinct_generations_with_shared_prefixes(tmp_path: Path) -> None:
    pool, seen = ScriptedPool(uneven, capacity=3), list[tuple[str, int, int]]()
    found = search(tmp_path, pool, on_progress=lambda *record: seen.append(record))
    pairs = [(t.request, s) for t in pool.tasks if isinstance(t, RolloutTask) for s in t.schedules]
    by_search = sum(each.result.evaluations for each in found.values()) * len(REQUESTS)
    assert len(pairs) == by_search == sum(each.work.generations for each in found.values())
    assert sum(s.budget for _, s in pairs) == sum(each.work.forwards_requested for each in found.values())
    climbed = found["budcache", 6].work
    assert climbed.forwards_executed < climbed.forwards_requested
    assert max(len(t.schedules) for t in pool.tasks if isinstance(t, RolloutTask)) > 1
    assert pool.max_in_flight > 3  # searches of several budgets at once
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen) and seen[-1][1] == seen[-1][2]


def test_a_search_killed_anywhere_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole_pool = ScriptedPool(uneven)
    whole = search(tmp_path / "whole", whole_pool)

    class Killed(ScriptedPool):
        def collect(self, timeout_s=None):
            if len(self.tasks) > 90:
                raise KeyboardInterrupt
            return super().collect(timeout_s)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "killed", Killed(uneven))
    rest = ScriptedPool(uneven)
    assert search(tmp_path / "killed", rest) == whole
    assert 0 < len(rest.tasks) < len(whole_pool.tasks) - 60
    for path in (tmp_path / "whole").rglob("*.jsonl"):
        assert path.read_bytes() == (tmp_path / "killed" / path.relative_to(tmp_path / "whole")).read_bytes()
    unused = ScriptedPool(uneven)
    assert search(tmp_path / "killed", unused) == whole and not unused.tasks


def test_the_answers_of_another_search_are_refused(tmp_path: Path) -> None:
    search(tmp_path, ScriptedPool(uneven))
    (tmp_path / "budcache" / "k02.jsonl").write_bytes((tmp_path / "random_search" / "k02.jsonl").read_bytes())
    with pytest.raises(BadInputError, match=r"k02\.jsonl: holds the answers of another search"):
        search(tmp_path, ScriptedPool(uneven))


def test_a_schedule_that_fails_for_good_does_not_take_the_others_down(tmp_path: Path) -> None:
    class Choosy(ScriptedPool):
        """Fails every task that holds a schedule computing step 3."""

        def _answer(self, task):
            self._failing = {task.task_id} if any(s.computes(3) for s in task.schedules) else frozenset()
            return super()._answer(task)

    found = search(tmp_path, Choosy(uneven))
    assert all(not each.result.schedule.computes(3) and each.result.reward > FAILED for each in found.values())
    with pytest.raises(RunFailedError, match="no generation was finite"):
        search(tmp_path / "none", ScriptedPool(uneven, failing=range(10_000)))
