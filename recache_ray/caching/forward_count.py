"""How much ran of what was asked for."""

from __future__ import annotations

from recache_ray.caching.stack_pass import StackPass


class ForwardCount:
    """Counts row-forwards through the block stack where they run.

    Args:
        siblings: M.

    Attributes:
        requested: row-forwards that one pipeline call per schedule would have made so far.
    """

    def __init__(self, siblings: int) -> None:
        self.requested = 0
        self._executed = [0] * siblings
        self._computed_calls = [0] * siblings

    @property
    def executed(self) -> int:
        """Row-forwards that ran."""
        return sum(self._executed)

    @property
    def executed_by_sibling(self) -> tuple[int, ...]:
        """The same by sibling; one that several share counts for the first of them."""
        return tuple(self._executed)

    @property
    def computed_calls(self) -> tuple[int, ...]:
        """Transformer calls whose blocks ran for each sibling."""
        return tuple(self._computed_calls)

    def add(self, current: StackPass, batch_rows: int) -> None:
        """Count a pass of this many rows, if it computes them."""
        if not current.computes:
            return
        repeats = batch_rows if len(self._computed_calls) == 1 else batch_rows // len(current.rows)
        self.requested += repeats * sum(row.members for row in current.rows)
        for row in current.rows:
            self._executed[row.sibling] += repeats
            for sibling in row.siblings:
                self._computed_calls[sibling] += 1
