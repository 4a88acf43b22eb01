"""The plan of a batch, against counting prefixes by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.caching.prefix_plan import plan_steps
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

T = 7
schedules = st.lists(
    st.sets(st.integers(1, T - 1)).map(lambda steps: Schedule.from_steps(T, {0, *steps})), min_size=1, max_size=12
)


@given(schedules)
def test_each_distinct_prefix_runs_once_and_every_sibling_finds_its_own(siblings: list[Schedule]) -> None:
    plans = plan_steps(siblings)
    assert len(plans) == T
    for step, plan in enumerate(plans):
        rows = plan.computing + plan.predicting
        assert len({row.prefix for row in rows}) == len(rows)
        assert sum(row.members for row in rows) == len(siblings)
        for sibling, place in zip(siblings, plan.source, strict=True):
            assert rows[place].prefix == sibling.prefix(step)
            assert (place < len(plan.computing)) == sibling.computes(step)
        for row in rows:
            assert siblings[row.sibling].prefix(step) == row.prefix
    assert sum(len(plan.computing) for plan in plans) == len({s.prefix(i) for s in siblings for i in s.compute_steps})
    assert sum(row.members for plan in plans for row in plan.computing) == sum(s.budget for s in siblings)


@given(schedules)
def test_history_is_kept_exactly_while_a_cached_step_is_ahead(siblings: list[Schedule]) -> None:
    for step, plan in enumerate(plan_steps(siblings)):
        for row in plan.computing + plan.predicting:
            members = [s for s in siblings if s.prefix(step) == row.prefix]
            assert row.cached_later == any(not s.computes(later) for s in members for later in range(step + 1, T))


@given(schedules, st.data())
def test_streams_share_nothing_with_each_other(siblings: list[Schedule], data: st.DataObject) -> None:
    streams = [data.draw(st.integers(0, 2)) for _ in siblings]
    for step, plan in enumerate(plan_steps(siblings, streams)):
        rows = plan.computing + plan.predicting
        for sibling, place in enumerate(plan.source):
            assert sibling in rows[place].siblings
        for row in rows:
            assert {streams[sibling] for sibling in row.siblings} == {row.stream}
            assert {siblings[sibling].prefix(step) for sibling in row.siblings} == {row.prefix}
        states = {(stream, s.prefix(step)) for s, stream in zip(siblings, streams, strict=True)}
        assert {row.state for row in rows} == states and len(rows) == len(states)
    with pytest.raises(BadInputError, match="must be one for each"):
        plan_steps(siblings, [*streams, 0])


def test_siblings_must_share_num_steps() -> None:
    with pytest.raises(BadInputError, match="same num_steps"):
        plan_steps([Schedule.full(4), Schedule.full(5)])
    with pytest.raises(BadInputError, match="none given"):
        plan_steps([])
