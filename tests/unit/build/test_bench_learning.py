"""Methods of the learning benchmark on a small table: within their evaluations, repeatable, compared alike."""

import math
from collections import Counter

import numpy as np
import pytest

from recache_ray.baselines.dpcache import path_cost
from recache_ray.build.bench_learning import run_methods
from recache_ray.build.bench_methods import bench_methods
from recache_ray.config.root import load_config
from recache_ray.evaluation.reward_table import RewardTable
from recache_ray.schedules.enumeration import every_schedule
from recache_ray.testing.synthetic_rewards import SegmentReward

CONFIG = load_config({"bench": {"evaluations": [40, 80], "seeds": 2, "policies": []}})
ERRORS = np.random.default_rng(0).exponential(size=(7, 7, 7))
SCHEDULES = tuple(s for budget in (2, 3, 4) for s in every_schedule(7, budget))


class CountingTable(RewardTable):
    def cost(self, prompt, schedule):
        ASKED[prompt, schedule] += 1
        return super().cost(prompt, schedule)


ASKED = Counter()


@pytest.fixture
def table():
    ASKED.clear()
    reward = SegmentReward(7, seed=2)
    factors = np.array([1.0, 1.5])
    return CountingTable("t", SCHEDULES, np.array([[reward.cost(s)] for s in SCHEDULES]) * factors, ERRORS)


@pytest.mark.parametrize("name", [*bench_methods(CONFIG)])
def test_a_method_asks_for_what_it_says_and_gives_a_schedule_of_every_budget(table, name):
    chosen, asked = bench_methods(CONFIG)[name](table, 40, 1)
    assert asked == (2 if "dpcache" in name else len(ASKED)) <= 40
    assert not ASKED or max(ASKED.values()) == 1
    assert [chosen[budget].budget for budget in (2, 3, 4)] == [2, 3, 4]
    again, _ = bench_methods(CONFIG)[name](table, 40, 1)
    assert dict(chosen) == dict(again)


def test_every_method_runs_with_every_seed_and_learning_finds_the_best(table):
    said = []
    runs = run_methods(CONFIG, [table], said.append)
    assert len(runs) == len(said) == 2 * 2 * len(bench_methods(CONFIG))
    assert {run.evaluations for run in runs} == {40, 80} and {run.seed for run in runs} == {0, 1}
    assert all(run.regret >= 1.0 - 1e-12 and math.isfinite(run.regret) for run in runs)
    assert all(run.regret == pytest.approx(1.0) for run in runs if run.method == "path" and run.evaluations == 80)


def test_dpcache_is_the_best_path_of_its_calibration_or_the_published_one(table):
    exact, _ = bench_methods(CONFIG)["dpcache_exact"](table, 40, 0)
    published, _ = bench_methods(CONFIG)["dpcache"](table, 40, 0)
    for budget in table.budgets:
        least = min(path_cost(ERRORS, schedule) for schedule in every_schedule(7, budget))
        assert path_cost(ERRORS, exact[budget]) == pytest.approx(least)
        assert path_cost(ERRORS, published[budget]) >= least - 1e-12
    assert not ASKED
