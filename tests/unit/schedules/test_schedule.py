"""A schedule is a set of computed steps with step 0 in it; every view of it agrees."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

SCHEDULES = st.integers(1, 60).flatmap(
    lambda num_steps: st.sets(st.integers(0, num_steps - 1)).map(
        lambda steps: Schedule.from_steps(num_steps, {0, *steps})
    )
)


@given(SCHEDULES)
def test_every_view_describes_the_same_steps(schedule: Schedule) -> None:
    mask = schedule.compute_mask
    assert len(mask) == schedule.num_steps
    assert sum(mask) == schedule.budget == len(schedule.compute_steps)
    assert [schedule.computes(step) for step in range(schedule.num_steps)] == list(mask)
    assert str(schedule) == "".join(str(int(bit)) for bit in mask)
    assert Schedule.from_mask(mask) == Schedule.from_mask([int(bit) for bit in mask]) == schedule
    assert Schedule.from_steps(schedule.num_steps, [*reversed(schedule.compute_steps), 0]) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule


@given(SCHEDULES)
def test_prefixes_grow_by_one_at_each_compute_step(schedule: Schedule) -> None:
    previous: tuple[int, ...] = ()
    for step in range(schedule.num_steps):
        expected = (*previous, step) if schedule.computes(step) else previous
        assert schedule.prefix(step) == expected
        previous = expected
    assert previous == schedule.compute_steps


@given(SCHEDULES, SCHEDULES)
def test_equal_by_value_as_a_key(left: Schedule, right: Schedule) -> None:
    assert (left == right) == ((left.num_steps, left.compute_steps) == (right.num_steps, right.compute_steps))
    assert len({left, Schedule(left.num_steps, left.compute_steps)}) == 1


def test_full_computes_everything() -> None:
    assert Schedule.full(4).compute_steps == (0, 1, 2, 3)
    assert Schedule.full(4).budget == 4


def test_a_list_of_steps_becomes_a_hashable_tuple() -> None:
    assert hash(Schedule(6, [0, 1, 4])) == hash(Schedule(6, (0, 1, 4)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("num_steps", "steps", "message"),
    [
        (0, (0,), "num_steps = 0: must be at least 1"),
        (5, (), "step 0 must be computed"),
        (5, (1, 2), "step 0 must be computed"),
        (5, (0, 2, 2), "ascending without repeats"),
        (5, (0, 3, 2), "ascending without repeats"),
        (5, (0, 5), "step 5: must be below num_steps = 5"),
        (5, (-1, 0), "step 0 must be computed"),
    ],
)
def test_what_is_not_a_schedule_is_refused(num_steps: int, steps: tuple[int, ...], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        Schedule(num_steps, steps)


def test_schedules_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Schedule.full(3).num_steps = 4  # type: ignore[misc]
