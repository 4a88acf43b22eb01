"""Splitting a batch by what its rows do: every row gets back what its own state gave, and nothing runs twice."""

from __future__ import annotations

import random

import pytest
import torch

from recache_ray.caching.batch_split import BatchSplit
from recache_ray.caching.forward_count import ForwardCount
from recache_ray.caching.prefix_plan import plan_steps
from recache_ray.caching.stack_pass import split_passes
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

NUM_STEPS = 6


def random_schedules(count: int, seed: int) -> list[Schedule]:
    draws = random.Random(seed)
    return [
        Schedule(NUM_STEPS, (0, *sorted(draws.sample(range(1, NUM_STEPS), draws.randint(0, 4))))) for _ in range(count)
    ]


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_every_row_gets_what_a_row_in_its_state_gave(repeats: int, seed: int) -> None:
    schedules = random_schedules(7, seed)
    for step, plan in enumerate(plan_steps(schedules)):
        # a row's content: its repetition, and its sibling's computed steps so far as the bits of a number
        states = [sum(1 << done for done in schedule.prefix(step)) for schedule in schedules]
        batch = torch.tensor([[repeat, state] for repeat in range(repeats) for state in states])
        split = BatchSplit(plan, len(schedules), batch)
        results, ran = [], []
        for current in split_passes(plan, step, {}):
            chosen = batch[split.rows(current)]
            computing = [bool(state & 1 << step) for _, state in chosen.tolist()]
            assert computing == [current.computes] * len(computing)
            ran += [tuple(row) for row in chosen.tolist()]
            results.append(10 * chosen)
        assert torch.equal(split.join(results), 10 * batch)
        assert len(ran) == len(set(ran)), "no state runs twice"
        assert split.is_whole == (len(set(states)) == len(states) and len(results) == 1)


@pytest.mark.parametrize("repeats", [1, 2])
def test_what_is_counted_adds_up_to_the_budgets(repeats: int) -> None:
    schedules = random_schedules(7, seed=3)
    count = ForwardCount(len(schedules))
    prefixes = {schedule.prefix(step) for schedule in schedules for step in schedule.compute_steps}
    for step, plan in enumerate(plan_steps(schedules)):
        for current in split_passes(plan, step, {}):
            count.add(current, repeats * len(current.rows))
    assert count.computed_calls == tuple(schedule.budget for schedule in schedules)
    assert count.requested == repeats * sum(schedule.budget for schedule in schedules)
    assert count.executed == repeats * len(prefixes)


def test_a_batch_that_the_schedules_do_not_divide_is_refused() -> None:
    plan = plan_steps([Schedule(3, (0,)), Schedule(3, (0, 1))])[1]
    with pytest.raises(BadInputError, match="batch of 3 rows: must be a multiple of the 2 schedules"):
        BatchSplit(plan, 2, torch.zeros(3, 1))
