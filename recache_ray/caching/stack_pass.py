"""One run through the block stack, in which every row computes or every row predicts.

Shapes: U rows of distinct prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.prefix_plan import PrefixRow, State, StepPlan

Slot = tuple[int, int]
"""A cached tensor: the place of its module in the cut, and its place among the module's outputs."""

Histories = dict[State, dict[Slot, FeatureHistory]]
"""What is remembered in one guidance branch."""


@dataclass(slots=True)
class StackPass:
    """A step's prefixes that compute, or those that predict.

    Attributes:
        rows: the U prefixes, in the order of the rows.
        step: of the generation.
        computes: whether they compute.
        histories: of the guidance branch.
        predicting: states of the same step whose histories must outlive the pass.
        probe: what the first block did to its rows, for mechanisms that look at it.
    """

    rows: tuple[PrefixRow, ...]
    step: int
    computes: bool
    histories: Histories
    predicting: frozenset[State] = frozenset()
    probe: Tensor | None = None

    @property
    def is_remembered(self) -> bool:
        """Whether any later step needs what this one computes."""
        return any(row.cached_later for row in self.rows)


def one_pass(plan: StepPlan, step: int, histories: Histories) -> StackPass:
    """The pass of a step that does one thing with all its rows."""
    return StackPass(plan.computing or plan.predicting, step, bool(plan.computing), histories)


def split_passes(plan: StepPlan, step: int, histories: Histories) -> Iterator[StackPass]:
    """The passes of any step: first the rows that compute, then those that predict; none without rows."""
    predicting = frozenset(row.state for row in plan.predicting)
    for rows, computes in ((plan.computing, True), (plan.predicting, False)):
        if rows:
            yield StackPass(rows, step, computes, histories, predicting)
