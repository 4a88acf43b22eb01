import numpy as np
import pytest

from recache_ray.errors import BadInputError
from recache_ray.evaluation.paired import paired_geometric_mean, paired_ratio, prompt_means, typical_ratio
from recache_ray.evaluation.samples import Sample


def correlated(generator: np.random.Generator, prompts: int, ratio: float) -> tuple[dict[int, float], dict[int, float]]:
    """Two methods on the same prompts: log-normal difficulty of the prompt times a small error of each method."""
    difficulty = np.exp(generator.normal(-3.0, 1.0, prompts))
    ours, rival = (difficulty * np.exp(generator.normal(0.0, 0.2, prompts)) for _ in range(2))
    return dict(enumerate(ratio * ours)), dict(enumerate(rival))


def test_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        found = paired_ratio(*correlated(generator, 48, 0.8), samples=300, seed=trial)
        covered += found.low <= 0.8 <= found.high
    assert 0.87 <= covered / 300 <= 0.99


def test_several_budgets_together_cover_their_geometric_mean() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        pairs = [correlated(generator, 40, ratio) for ratio in (0.5, 2.0, 0.8)]
        found = paired_geometric_mean(pairs, samples=300, seed=trial)
        covered += found.low <= 0.8 ** (1 / 3) <= found.high
    assert 0.86 <= covered / 200 <= 0.99


def test_pairing_is_far_narrower_than_treating_the_methods_apart() -> None:
    generator = np.random.default_rng(2)
    ours, rival = correlated(generator, 48, 0.8)
    paired = paired_ratio(ours, rival, samples=2000, seed=0)
    draws = generator.integers(0, 48, size=(2, 2000, 48))
    apart = np.array(list(ours.values()))[draws[0]].mean(1) / np.array(list(rival.values()))[draws[1]].mean(1)
    low, high = np.quantile(apart, (0.025, 0.975))
    assert paired.high - paired.low < (high - low) / 3


def test_the_ratio_is_that_of_the_means_whatever_the_order_of_the_prompts() -> None:
    ours, rival = {1: 0.1, 2: 0.3, 3: 0.2}, {3: 0.5, 1: 0.3, 2: 0.4}
    found = paired_ratio(ours, rival, samples=200, seed=5)
    assert found.ratio == pytest.approx(0.6 / 1.2) and found.num_prompts == 3
    assert found.low <= found.ratio <= found.high and found.decided
    assert paired_ratio(dict(sorted(ours.items(), reverse=True)), rival, samples=200, seed=5) == found
    assert paired_ratio(ours, rival, samples=200, seed=6) != found


def test_a_method_against_itself_is_one_and_exact_methods_are_level() -> None:
    values = {i: 0.1 * (i + 1) for i in range(5)}
    same = paired_ratio(values, values, samples=100, seed=0)
    assert (same.ratio, same.low, same.high, same.decided) == (1.0, 1.0, 1.0, False)
    exact = dict.fromkeys(range(5), 0.0)
    assert paired_ratio(exact, exact, samples=100, seed=0).ratio == 1.0
    behind = paired_ratio(values, exact, samples=100, seed=0)
    assert 1e4 < behind.ratio < np.inf


def test_inputs_that_cannot_be_paired_are_refused_in_one_line() -> None:
    with pytest.raises(BadInputError, match=r"1 prompt, must be at least 2 .* raise prompts\.num_test"):
        paired_ratio({0: 0.1}, {0: 0.2}, samples=100, seed=0)
    with pytest.raises(BadInputError, match="evaluate both methods on the same split"):
        paired_ratio({0: 0.1, 1: 0.1}, {0: 0.2, 2: 0.2}, samples=100, seed=0)
    with pytest.raises(BadInputError, match="comparison 1: measured on 3 prompts"):
        two, three = {0: 0.1, 1: 0.1}, {0: 0.1, 1: 0.1, 2: 0.1}
        paired_geometric_mean([(two, two), (two, three)], samples=100, seed=0)
    with pytest.raises(BadInputError, match="0 prompt"):
        paired_geometric_mean([], samples=100, seed=0)


def test_prompt_means_average_over_schedules_and_seeds() -> None:
    def sample(prompt: int, seed: int, lpips: float) -> Sample:
        return Sample("random", "reuse", 6, 3, prompt, seed, (0, 2, 4), lpips, None, None, None, -lpips)

    assert prompt_means([sample(4, 0, 0.1), sample(4, 1, 0.3), sample(7, 0, 0.5)]) == {4: 0.2, 7: 0.5}


def test_in_the_typical_ratio_every_prompt_counts_alike():
    ours = dict.fromkeys(range(9), 0.01) | {9: 1.0}
    rival = dict.fromkeys(range(9), 0.02) | {9: 0.1}
    assert typical_ratio([(ours, rival)]) == pytest.approx((0.5**9 * 10) ** 0.1)
    assert paired_ratio(ours, rival, samples=10, seed=0).ratio > 3
    assert typical_ratio([(ours, rival), (rival, ours)]) == pytest.approx(1.0)
    assert typical_ratio([({0: 0.0}, {0: 0.0})]) == 1.0
