"""The account of tasks: whatever happens to workers, every id leaves exactly once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.distributed.ledger import Ledger, WorkItem
from recache_ray.testing.fake_worker import fake_task


@given(st.integers(1, 12), st.integers(1, 4), st.lists(st.sampled_from(["take", "finish", "lose"])), st.randoms())
def test_every_task_leaves_once_within_its_attempts(count: int, most: int, moves: list[str], random: object) -> None:
    ledger = Ledger(max_attempts=most)
    for task_id in range(count):
        ledger.add(fake_task(task_id), None)
    running: list[WorkItem] = []
    left: list[int] = []

    def step(move: str) -> None:
        if move == "take":
            item = ledger.take()
            if item is not None:
                running.append(item)
        elif running:
            item = running.pop(random.randrange(len(running)))  # type: ignore[attr-defined]
            if move == "finish":
                ledger.finish(item)
                left.append(item.task.task_id)
            elif (failure := ledger.give_back(item, "worker died", "w")) is not None:
                assert item.attempts == most
                assert failure.retryable
                left.append(failure.task_id)

    for move in moves:
        step(move)
        assert len(ledger) == count - len(left)
        assert ledger.waiting == len(ledger) - len(running)
    while len(ledger):
        step("take")
        step("finish")
    assert sorted(left) == list(range(count))


def test_a_returned_task_is_next() -> None:
    ledger = Ledger(max_attempts=3)
    for task_id in range(3):
        ledger.add(fake_task(task_id), None)
    first, second = ledger.take(), ledger.take()
    assert first is not None and second is not None
    assert ledger.give_back(first, "died", "w") is None
    assert ledger.take() is first
    assert (first.attempts, second.attempts) == (2, 1)


def test_an_id_is_refused_until_it_has_left() -> None:
    ledger = Ledger(max_attempts=1)
    ledger.add(fake_task(1), None)
    item = ledger.take()
    assert item is not None
    with pytest.raises(ValueError, match="in flight"):
        ledger.add(fake_task(1), None)
    ledger.give_back(item, "died", "w")
    ledger.add(fake_task(1), None)
