"""Exhaustive tables: stored and read back exactly, and what regret means on them."""

import math

import numpy as np
import pytest

from recache_ray.errors import BadInputError
from recache_ray.evaluation.reward_table import COST_FLOOR, RewardTable, read_costs, write_costs
from recache_ray.schedules import Schedule
from recache_ray.schedules.enumeration import every_schedule

SCHEDULES = tuple(s for budget in (2, 3) for s in every_schedule(5, budget))


def table(costs=None):
    costs = np.random.default_rng(0).random((len(SCHEDULES), 3)) if costs is None else costs
    return RewardTable("t", SCHEDULES, costs, np.zeros((5, 5, 5)))


def test_costs_come_back_bit_for_bit_in_any_order(tmp_path):
    costs = dict(zip(SCHEDULES, table().cost_MP[:, 0].tolist(), strict=True))
    write_costs(tmp_path / "deep" / "a.parquet", costs)
    assert read_costs(tmp_path / "deep" / "a.parquet", SCHEDULES[::-1]) == list(costs.values())[::-1]
    assert read_costs(tmp_path / "missing.parquet", SCHEDULES) is None
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.parquet"]


def test_a_damaged_or_incomplete_file_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write_costs(path, {SCHEDULES[0]: 1.0})
    with pytest.raises(BadInputError, match="remove it"):
        read_costs(path, SCHEDULES)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInputError, match="remove it"):
        read_costs(path, SCHEDULES[:1])


def test_regret_is_one_for_the_best_of_every_budget_and_above_for_any_other():
    exhaustive = table()
    best = {k: min((s for s in SCHEDULES if s.budget == k), key=exhaustive.mean_cost) for k in (2, 3)}
    assert exhaustive.budgets == (2, 3) and exhaustive.num_steps == 5 and exhaustive.num_prompts == 3
    assert exhaustive.regret(best) == pytest.approx(1.0, rel=1e-12)
    others = [s for s in SCHEDULES if s.budget == 2 and s != best[2]]
    for other in others:
        expected = math.sqrt(exhaustive.mean_cost(other) / exhaustive.mean_cost(best[2]))
        assert expected > 1.0
        assert exhaustive.regret({**best, 2: other}) == pytest.approx(expected, rel=1e-9)


def test_an_exact_schedule_has_a_small_cost_rather_than_none():
    exhaustive = table(np.zeros((len(SCHEDULES), 3)))
    assert exhaustive.cost(0, SCHEDULES[0]) == COST_FLOOR > 0.0
    assert exhaustive.regret({2: Schedule(5, (0, 1)), 3: Schedule(5, (0, 1, 2))}) == pytest.approx(1.0)
