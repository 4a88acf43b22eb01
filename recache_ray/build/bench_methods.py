"""Every way of finding schedules that ``bench learning`` compares, as one function of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from recache_ray.baselines.annealing import annealing_search
from recache_ray.baselines.dpcache import dpcache, dpcache_exact, published_rules
from recache_ray.baselines.random_search import random_search
from recache_ray.baselines.search import SearchResult
from recache_ray.baselines.uniform import uniform
from recache_ray.config.root import Config
from recache_ray.evaluation.learning_report import JUDGED
from recache_ray.evaluation.reward_table import RewardTable
from recache_ray.learning.black_box import learn_schedules
from recache_ray.schedules import Schedule

Choice = tuple[Mapping[int, Schedule], int]
"""A schedule per budget, and how many generations were asked for: (prompt, schedule) pairs, or uncached ones."""

Method = Callable[[RewardTable, int, int], Choice]
"""Table, evaluations, seed to choice."""


def bench_methods(config: Config) -> dict[str, Method]:
    """Methods by name: the configured policies, then the rivals.

    ``annealing`` judges every schedule on all prompts, ``annealing_one`` as published on a single one, so it tries that
    many times more schedules. Both split the evaluations equally over the budgets. ``dpcache`` is the published
    recurrence under its published rules, ``dpcache_exact`` the best path of the same calibration.
    """
    policies = dict.fromkeys((JUDGED, *config.bench.policies))
    return {
        **{kind: partial(_learn, kind) for kind in policies},
        "annealing": partial(_search, annealing_search, False),
        "annealing_one": partial(_search, annealing_search, True),
        "random": partial(_search, random_search, False),
        "dpcache": partial(_calibrated, _published),
        "dpcache_exact": partial(_calibrated, dpcache_exact),
        "uniform": _uniform,
    }


def _learn(kind: str, table: RewardTable, evaluations: int, seed: int) -> Choice:
    asked: set[tuple[int, Schedule]] = set()

    def reward(prompt: int, schedule: Schedule) -> float:
        asked.add((prompt, schedule))
        return -table.cost(prompt, schedule)

    chosen = learn_schedules(
        reward, table.num_steps, table.budgets, table.num_prompts, evaluations, seed=seed, policy=kind
    )
    return chosen, len(asked)


def _search(
    search: Callable[..., SearchResult], one_prompt: bool, table: RewardTable, evaluations: int, seed: int
) -> Choice:
    prompts = (seed % table.num_prompts,) if one_prompt else tuple(range(table.num_prompts))
    limit = max(1, evaluations // (len(table.budgets) * len(prompts)))

    def reward(schedule: Schedule) -> float:
        return -math.log(fmean(table.cost(prompt, schedule) for prompt in prompts))

    found = {budget: search(reward, table.num_steps, budget, evaluations=limit, seed=seed) for budget in table.budgets}
    asked = sum(result.evaluations for result in found.values()) * len(prompts)
    return {budget: result.schedule for budget, result in found.items()}, asked


def _calibrated(
    schedule: Callable[[NDArray[np.float64], int], Schedule], table: RewardTable, evaluations: int, seed: int
) -> Choice:
    """From one uncached generation of every prompt, however many evaluations there are."""
    return {budget: schedule(table.forecast_errors, budget) for budget in table.budgets}, table.num_prompts


def _published(errors: NDArray[np.float64], budget: int) -> Schedule:
    return dpcache(errors, budget, published_rules(len(errors), budget))


def _uniform(table: RewardTable, evaluations: int, seed: int) -> Choice:
    return {budget: uniform(table.num_steps, budget) for budget in table.budgets}, 0
