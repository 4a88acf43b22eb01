import numpy as np
import pytest

from recache_ray.baselines.offline import OFFLINE, Calibration, Need, needs, reached_budgets
from recache_ray.baselines.registry import BASELINES, baseline_schedules, check_baselines
from recache_ray.baselines.residual_statistics import ResidualStatistics
from recache_ray.baselines.uniform import uniform_ends
from recache_ray.errors import BadInputError


def test_every_name_gives_schedules_of_the_budget() -> None:
    for name in BASELINES:
        schedules = baseline_schedules(name, 20, 7, seed=3)
        assert schedules and all(schedule.budget == 7 for schedule in schedules)
    assert baseline_schedules("uniform_ends", 20, 7) == (uniform_ends(20, 7),)
    assert len(baseline_schedules("random", 20, 7, random_count=6)) == 6


def test_unknown_name_gets_the_nearest_one_in_one_line() -> None:
    with pytest.raises(BadInputError, match=r"evaluation\.baselines.*'unifrom'; did you mean uniform\?"):
        check_baselines(("random", "unifrom"))
    with pytest.raises(BadInputError, match="known: uniform, uniform_warm"):
        baseline_schedules("zzz", 20, 7)


def test_adaptive_names_are_known_and_have_no_schedule_of_their_own() -> None:
    names = ("teacache", "dicache_frozen", "dicache_dcta")
    assert check_baselines(names) == names
    for name in names:
        with pytest.raises(BadInputError, match=f"baseline '{name}': has no schedule before its gate has decided"):
            baseline_schedules(name, 20, 7)


def test_repeated_names_count_once() -> None:
    assert check_baselines(["random", "uniform", "random"]) == ("random", "uniform")


def calibration(num_steps: int) -> Calibration:
    generator = np.random.default_rng(0)
    residuals = ResidualStatistics(
        generator.uniform(0.9, 1.1, num_steps), generator.random((num_steps,) * 2), generator.random((num_steps,) * 3)
    )
    return Calibration(residuals, generator.random((num_steps, num_steps + 1)))


def test_calibrated_names_give_the_budget_and_say_what_they_lack() -> None:
    for name in OFFLINE:
        for budget in reached_budgets(name, 20, (5, 8)):
            (schedule,) = baseline_schedules(name, 20, budget, calibration=calibration(20))
            assert (schedule.num_steps, schedule.budget) == (20, budget)
        if needs([name]):
            with pytest.raises(BadInputError, match=f"baseline {name}: needs a calibration .* there is none"):
                baseline_schedules(name, 20, 5)
            with pytest.raises(BadInputError, match="at num_steps = 20, this one is of 8"):
                baseline_schedules(name, 20, 5, calibration=calibration(8))


def test_needs_and_reach() -> None:
    assert needs(("uniform", "cache_dit", "random")) == frozenset()
    assert needs(("uniform", "lemica")) == {Need.EDGES}
    assert needs(OFFLINE) == set(Need)
    assert reached_budgets("cache_dit", 20, (3, 5, 7, 8)) == (5, 8)
    assert reached_budgets("lemica", 20, (3, 5)) == (3, 5)
    with pytest.raises(BadInputError, match="presets compute 5, 8, 12, 15 of 20 steps"):
        reached_budgets("cache_dit", 20, (3, 4))
