"""Schedules at another number of steps, against enumeration of every schedule."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.schedules.enumeration import every_schedule

SIZES = range(1, 8)


def distance(steps: tuple[int, ...], wanted: list[Fraction]) -> Fraction:
    return sum(((step - place) ** 2 for step, place in zip(steps, wanted, strict=True)), Fraction(0))


def test_no_schedule_of_the_budget_is_nearer_and_of_equally_near_ones_it_is_the_earliest() -> None:
    for old, new in product(SIZES, SIZES):
        for budget in range(1, min(old, new) + 1):
            for schedule in every_schedule(old, budget):
                wanted = [Fraction(step * new, old) for step in schedule.compute_steps]
                best = min(
                    every_schedule(new, budget),
                    key=lambda other, wanted=wanted: (distance(other.compute_steps, wanted), other.compute_steps),
                )
                assert schedule.resampled(new) == best, (schedule, new)


def test_more_steps_and_back_is_the_schedule_one_came_from() -> None:
    for old in SIZES:
        for budget in range(1, old + 1):
            for schedule, new in product(every_schedule(old, budget), range(old, 3 * old + 1)):
                assert schedule.resampled(new).resampled(old) == schedule


def test_later_steps_stay_later() -> None:
    for old, new in product(range(3, 7), SIZES):
        for budget in range(1, min(old, new) + 1):
            for first, second in product(every_schedule(old, budget), repeat=2):
                if all(a <= b for a, b in zip(first.compute_steps, second.compute_steps, strict=True)):
                    pairs = zip(first.resampled(new).compute_steps, second.resampled(new).compute_steps, strict=True)
                    assert all(a <= b for a, b in pairs)


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_a_multiple_of_t_keeps_every_share_exactly(factor: int) -> None:
    schedule = Schedule(50, (0, 1, 2, 9, 17, 28, 40, 49))
    assert schedule.resampled(50 * factor).compute_steps == tuple(step * factor for step in schedule.compute_steps)


def test_noise_levels_are_those_of_the_schedule_one_came_from() -> None:
    """The scheduler of the embedded model gives step i of T and step 3 i of 3 T the same sigma; others are near."""
    import numpy as np
    from diffusers import FlowMatchEulerDiscreteScheduler

    from recache_ray.diffusion.shapes import model_path

    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(model_path() / "scheduler")

    def sigmas(num_steps: int) -> list[float]:
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / num_steps, num_steps), mu=0.7)
        return [float(sigma) for sigma in scheduler.sigmas]

    schedule = Schedule(20, (0, 3, 7, 11, 16))
    wanted = [sigmas(20)[step] for step in schedule.compute_steps]
    for new, tolerance in ((60, 1e-6), (28, 0.03), (50, 0.02)):
        found = [sigmas(new)[step] for step in schedule.resampled(new).compute_steps]
        assert found == pytest.approx(wanted, abs=tolerance)


def test_a_table_keeps_budgets_that_fit_and_forgets_what_was_measured_elsewhere() -> None:
    table = ScheduleTable(
        10,
        {3: Schedule(10, (0, 2, 5)), 8: Schedule.from_steps(10, range(8))},
        model={"id": "m", "num_steps": 10},
        mechanism={"id": "taylor1"},
        metrics={3: {"lpips": 0.1}},
        provenance={"seed": 4},
    )
    assert table.resampled(10) is table
    carried = table.resampled(5)
    assert carried.budgets == (3,) and carried[3] == table[3].resampled(5)
    assert carried.model == {"id": "m", "num_steps": 5} and carried.mechanism == table.mechanism
    assert carried.metrics == {} and carried.provenance == {"seed": 4, "resampled_from_num_steps": 10}
    assert ScheduleTable.from_json(carried.to_json()) == carried
    assert table.resampled(30).resampled(10).schedules == table.schedules


@pytest.mark.parametrize("steps", [0, 2])
def test_too_few_steps_are_refused_in_one_line(steps: int) -> None:
    table = ScheduleTable(10, {3: Schedule(10, (0, 2, 5)), 4: Schedule(10, (0, 2, 5, 7))})
    with pytest.raises(BadInputError, match=f"num_steps = {steps}: must be at least 3, .*; choose") as caught:
        table[3].resampled(steps)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInputError, match=f"num_steps = {steps}: below every budget .* has 3, 4; choose"):
        table.resampled(steps)
