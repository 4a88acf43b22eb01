import numpy as np

from recache_ray.evaluation.bootstrap import mean_interval


def test_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        values = generator.normal(1.0, 0.5, size=40)
        low, high = mean_interval(values.tolist(), range(40), samples=400, seed=trial)
        covered += low <= 1.0 <= high
    assert 0.88 <= covered / 300 <= 0.99


def test_whole_prompts_are_resampled_so_repeating_generations_narrows_nothing() -> None:
    values = [0.1, 0.4, 0.2, 0.9, 0.5]
    once = mean_interval(values, list("abcde"), samples=500, seed=3)
    assert mean_interval(values * 4, list("abcde") * 4, samples=500, seed=3) == once
    as_if_independent = mean_interval(values * 4, range(20), samples=500, seed=3)
    assert as_if_independent[1] - as_if_independent[0] < once[1] - once[0]


def test_seeded_and_degenerate_cases() -> None:
    values = [0.1, 0.4, 0.2]
    assert mean_interval(values, "abc", samples=200, seed=1) == mean_interval(values, "abc", samples=200, seed=1)
    assert mean_interval(values, "abc", samples=200, seed=1) != mean_interval(values, "abc", samples=200, seed=2)
    assert mean_interval([0.25, 0.75], "aa", samples=100, seed=0) == (0.5, 0.5)
