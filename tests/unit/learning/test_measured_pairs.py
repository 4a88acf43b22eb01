"""Pairs of requests and schedules through a pool, shared out over tasks."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.learning.measure import PAIRS_PER_TASK, SCHEDULES_PER_PART, Wanted, measure
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule
from recache_ray.testing.fake_pool import FakePool
from recache_ray.types import (
    GenerationRequest,
    MechanismSpec,
    PolicySnapshot,
    Prompt,
    RewardBreakdown,
    RolloutGroup,
    Task,
)

T = 8
SCHEDULES = [schedule for budget in (2, 3, 4) for schedule in every_schedule(T, budget)]
REUSE = MechanismSpec("reuse")


def request(index: int) -> GenerationRequest:
    return GenerationRequest(Prompt(index, f"prompt {index}", "validation"), noise_seed=index)


def reward(asked: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    return RewardBreakdown(-asked.noise_seed - sum(schedule.compute_steps) / 1000)


def measured(groups: list[RolloutGroup]) -> dict[Wanted, float]:
    return {(g.request, rollout.schedule): rollout.breakdown.reward for g in groups for rollout in g.rollouts}


class RecordingPool(FakePool):
    """Keeps how many pairs each task holds."""

    def __init__(self) -> None:
        super().__init__(reward)
        self.sizes: list[int] = []

    def submit(self, task: Task, snapshot: PolicySnapshot | None = None) -> None:
        before = len(self.tasks)
        super().submit(task, snapshot)
        self.sizes.append(sum(len(part.schedules) for part in self.tasks[before:]))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, len(SCHEDULES) - 1)), min_size=1, max_size=150))
def test_every_pair_is_measured_once_and_none_is_made_up(chosen: list[tuple[int, int]]) -> None:
    wanted = [(request(prompt), SCHEDULES[place]) for prompt, place in chosen]
    pool = RecordingPool()
    groups, failures = measure(pool, REUSE, wanted, itertools.count(5), lambda: None)
    assert not failures
    assert measured(groups) == {pair: reward(*pair).reward for pair in wanted}
    assert len(pool.evaluated) == len(set(wanted))
    # a request's schedules stay together, where they share prefixes
    assert max(Counter(group.request for group in groups).values()) <= -(-len(SCHEDULES) // SCHEDULES_PER_PART)
    assert max(pool.sizes) <= max(SCHEDULES_PER_PART, 2 * PAIRS_PER_TASK)


def test_requests_with_few_schedules_share_tasks() -> None:
    wanted = [(request(prompt), schedule) for prompt in range(24) for schedule in SCHEDULES[:2]]
    pool = RecordingPool()
    measure(pool, REUSE, wanted, itertools.count(), lambda: None)
    assert len(pool.sizes) == 6 and set(pool.sizes) == {PAIRS_PER_TASK}


def test_what_runs_together_does_not_depend_on_the_order_asked_in() -> None:
    wanted = [(request(prompt), schedule) for prompt in range(7) for schedule in SCHEDULES[prompt : 2 * prompt + 1]]
    one, other = FakePool(reward, capacity=1), FakePool(reward, capacity=5, order_seed=3)
    first, _ = measure(one, REUSE, wanted, itertools.count(), lambda: None)
    second, _ = measure(other, REUSE, wanted[::-1], itertools.count(), lambda: None)
    assert one.tasks == other.tasks
    assert measured(first) == measured(second)


@pytest.mark.parametrize("failing", [{0}, {0, 1}])
def test_one_bad_task_is_run_again_pair_by_pair(failing: set[int]) -> None:
    wanted = [(request(prompt), SCHEDULES[prompt]) for prompt in range(16)]
    pool = FakePool(reward, failing=failing)
    groups, failures = measure(pool, REUSE, wanted, itertools.count(), lambda: None)
    assert not failures
    assert measured(groups) == {pair: reward(*pair).reward for pair in wanted}


def test_a_pair_that_fails_alone_is_reported_and_the_others_are_kept() -> None:
    wanted = [(request(prompt), SCHEDULES[prompt]) for prompt in range(16)]
    # two tasks of eight; the first fails, and of its pairs the third again
    pool = FakePool(reward, failing={0, 4})
    groups, failures = measure(pool, REUSE, wanted, itertools.count(), lambda: None)
    assert [failure.task_id for failure in failures] == [4]
    assert measured(groups) == {pair: reward(*pair).reward for pair in wanted if pair != wanted[2]}
