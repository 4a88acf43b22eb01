import pytest

from recache_ray.baselines.registry import BASELINES, baseline_schedules, check_baselines
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
