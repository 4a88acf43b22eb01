"""What a mechanism remembers of every prefix of computed steps, as long as a later step needs it.

Shapes: R batch rows, in each repetition of the batch one for every row of a pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recache_ray.caching.clock import Branch
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.prefix_plan import State, StepPlan
from recache_ray.caching.stack_pass import Histories, Slot, StackPass
from recache_ray.caching.two_anchor import ScheduledTwoAnchor
from recache_ray.errors import BadInputError

RESIDUAL: Slot = (0, 0)
"""Of the block stack, or of the part of it that is predicted as a whole."""

PROBE: Slot = (1, 0)


class PrefixHistories:
    """The histories of one generation, kept apart by guidance branch.

    Args:
        mechanism: makes them, and forecasts from them.
    """

    def __init__(self, mechanism: CachingMechanism) -> None:
        self._mechanism = mechanism
        self._branches: dict[Branch, Histories] = {}

    def clear(self) -> None:
        """Forget the generation."""
        self._branches.clear()

    def of_step(self, branch: Branch, plan: StepPlan) -> Histories:
        """Those of a branch that a step needs; the others are forgotten."""
        alive = {row.parent for row in plan.computing} | {row.state for row in plan.predicting}
        known = self._branches.get(branch, {})
        histories = {state: history for state, history in known.items() if state in alive}
        self._branches[branch] = histories
        return histories

    def learn(self, current: StackPass, slot: Slot, leaves: Tensor, enters: Tensor | None = None) -> None:
        """A tensor [R, ...] was computed: remember it, less what entered, for prefixes that need it later."""
        stride = len(current.rows)
        for offset, row in enumerate(current.rows):
            if not row.cached_later:
                continue
            feature = leaves[offset::stride]
            if enters is not None:
                feature = feature - enters[offset::stride]
            elif stride > 1:
                feature = feature.clone()  # a view would keep the whole batch alive
            history = self._mechanism.reset() if len(row.prefix) == 1 else self._parent(current, row.parent, slot)
            updated = self._mechanism.update(history, current.step, feature)
            current.histories.setdefault(row.state, {})[slot] = updated

    def forecast(self, current: StackPass, slot: Slot) -> Tensor:
        """The forecast [R, ...] for the rows of a pass.

        Raises:
            BadInputError: if this branch was not called at an earlier computed step.
        """
        forecasts = [self._forecast_row(current, place, slot) for place in range(len(current.rows))]
        return forecasts[0] if len(forecasts) == 1 else torch.stack(forecasts, dim=1).flatten(0, 1)

    def _forecast_row(self, current: StackPass, place: int, slot: Slot) -> Tensor:
        state, mechanism = current.rows[place].state, self._mechanism
        history = self._history(current, state, slot)
        if isinstance(mechanism, ScheduledTwoAnchor) and current.probe is not None:
            probe = current.probe[place :: len(current.rows)]
            return mechanism.predict_along(history, self._history(current, state, PROBE), probe)
        return mechanism.predict(history, current.step)

    def _parent(self, current: StackPass, state: State, slot: Slot) -> FeatureHistory:
        """The history that a computed step adds to, given up slot by slot if no other row of the step needs it."""
        history = self._history(current, state, slot)
        if state not in current.predicting:
            del current.histories[state][slot]
        return history

    def _history(self, current: StackPass, state: State, slot: Slot) -> FeatureHistory:
        history = current.histories.get(state, {}).get(slot)
        if history is None:
            raise BadInputError(
                f"step {current.step}: this guidance branch was not called at computed step {state[1][-1]}; "
                "every step must call the same branches, so turn off guidance intervals"
            )
        return history
