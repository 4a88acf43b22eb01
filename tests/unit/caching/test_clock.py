"""Steps and guidance branches told from the sequence of calls alone."""

from __future__ import annotations

from recache_ray.caching.clock import StepClock


def test_one_call_per_step_wraps_around_after_the_last() -> None:
    clock = StepClock(3)
    assert [clock.tick(None)[0] for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_two_calls_per_step_are_told_by_position() -> None:
    clock = StepClock(2, forwards_per_step=2)
    assert [clock.tick(None)[:2] for _ in range(5)] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]


def test_named_branches_need_no_count() -> None:
    clock = StepClock(2)
    names = ["cond", "uncond", "cond", "uncond", "cond"]
    assert [clock.tick(name) for name in names] == [
        (0, "cond", True),
        (0, "uncond", False),
        (1, "cond", False),
        (1, "uncond", False),
        (0, "cond", True),
    ]


def test_an_abandoned_generation_is_noticed() -> None:
    current = object()
    clock = StepClock(5, generation=lambda: current)
    assert [clock.tick(None)[0] for _ in range(3)] == [0, 1, 2]
    current = object()
    assert clock.tick(None) == (0, 0, True)
    assert clock.tick(None) == (1, 0, False)
