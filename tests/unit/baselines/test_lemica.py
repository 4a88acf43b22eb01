from itertools import combinations, pairwise

import numpy as np
import pytest

from recache_ray.baselines.lemica import edge_schedules, least_gap, lemica, path_key
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


def random_weights(num_steps: int, seed: int, max_gap: int) -> np.ndarray:
    """Few distinct values, so that the largest edges often tie and the next ones decide."""
    generator = np.random.default_rng(seed)
    weights = np.full((num_steps, num_steps + 1), np.inf)
    for i in range(num_steps):
        weights[i, i + 1] = 0.0
        for j in range(i + 2, min(i + max_gap, num_steps) + 1):
            weights[i, j] = (j - i) * generator.integers(1, 4)
    return weights


def reaches(schedule: Schedule, max_gap: int) -> bool:
    return all(b - a <= max_gap for a, b in pairwise((*schedule.compute_steps, schedule.num_steps)))


@pytest.mark.parametrize("max_gap", [3, 5, 9])
def test_path_is_the_least_of_all_by_sorted_weights(max_gap: int) -> None:
    for seed in range(6):
        weights = random_weights(9, seed, max_gap)
        for budget in range(least_gap(9, 9), 10):
            every = [Schedule(9, (0, *others)) for others in combinations(range(1, 9), budget - 1)]
            choices = [each for each in every if reaches(each, max_gap)]
            if not choices:
                with pytest.raises(BadInputError, match=f"at least {least_gap(9, budget)} steps"):
                    lemica(weights, budget)
                continue
            found = lemica(weights, budget)
            assert found in choices
            assert path_key(weights, found) == min(path_key(weights, each) for each in choices)


def test_the_worst_jump_counts_before_the_sum() -> None:
    weights = np.full((4, 5), np.inf)
    weights[0, 1] = weights[1, 2] = weights[2, 3] = weights[3, 4] = 0
    weights[0, 2], weights[2, 4], weights[0, 3], weights[1, 4] = 3, 3, 4, 5
    assert lemica(weights, 2).compute_steps == (0, 2)
    assert path_key(weights, Schedule(4, (0, 3))) == (4, 0)


def test_an_edge_is_measured_with_its_inner_steps_cached_and_all_others_computed() -> None:
    edges = edge_schedules(6, 3)
    assert str(edges[1, 4]) == "110011"
    assert str(edges[4, 6]) == "111110"
    assert set(edges) == {(i, j) for i in range(6) for j in (i + 2, i + 3) if j <= 6}
    assert len(set(edges.values())) == len(edges)


def test_budget_out_of_range_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="between 1 and num_steps = 5"):
        lemica(random_weights(5, 0, 4), 0)
