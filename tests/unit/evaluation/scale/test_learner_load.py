"""The ideal of simulated actors against simulating them one event at a time."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from statistics import fmean, pstdev

import pytest

from recache_ray.evaluation.scale.load import SimulatedLoad

LOAD = SimulatedLoad(mean_s=4.0, cv=0.25, preemptions_per_hour=1.0, reload_s=120.0, seed=3)


def test_durations_have_the_stated_mean_and_spread_and_belong_to_the_task() -> None:
    durations = [LOAD.duration_s(task_id) for task_id in range(4000)]
    assert fmean(durations) == pytest.approx(4.0, rel=0.02)
    assert pstdev(durations) == pytest.approx(1.0, rel=0.05)
    assert [LOAD.duration_s(task_id) for task_id in range(10)] == durations[:10]
    assert replace(LOAD, seed=4).duration_s(0) != durations[0]
    assert replace(LOAD, cv=0.0).duration_s(7) == 4.0


def test_lives_have_the_stated_mean_and_differ_from_each_other() -> None:
    lives = [LOAD.lifetime_s(f"rollout-{number % 50}", number // 50) for number in range(4000)]
    assert fmean(lives) == pytest.approx(3600, rel=0.05)
    assert len(set(lives)) == len(lives)
    assert replace(LOAD, preemptions_per_hour=0.0).lifetime_s("rollout-0", 0) == math.inf


@pytest.mark.parametrize(("rate", "reload_s", "cv"), [(60.0, 5.0, 0.25), (200.0, 0.0, 0.0), (30.0, 20.0, 1.0)])
def test_the_ideal_is_what_an_actor_reaches_that_always_has_work(rate: float, reload_s: float, cv: float) -> None:
    load = SimulatedLoad(4.0, cv, rate, reload_s, seed=1)
    generator, clock, left, finished = random.Random(0), 0.0, 0.0, 60_000
    for task_id in range(finished):
        duration = load.duration_s(task_id)
        while True:
            if left <= 0.0:
                left = generator.expovariate(rate / 3600)
            if left >= duration:
                clock, left = clock + duration, left - duration
                break
            clock, left = clock + left + reload_s, 0.0
    assert clock / finished == pytest.approx(load.ideal_task_s, rel=0.01)


def test_the_ideal_without_preemptions_is_always_busy() -> None:
    assert replace(LOAD, preemptions_per_hour=0.0).ideal_busy_share == 1.0
    shares = [replace(LOAD, preemptions_per_hour=rate).ideal_busy_share for rate in (1e-3, 1.0, 10.0, 100.0)]
    assert all(later < earlier for earlier, later in itertools.pairwise(shares))
    assert shares[0] == pytest.approx(1.0, abs=1e-4)
    assert SimulatedLoad(4.0, 2.0, 3600 / 15.9, 1.0).ideal_task_s == math.inf
