"""Counts failed tasks and ends the run when their share is too large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from recache_ray.errors import RunFailedError
from recache_ray.types import RolloutFailure

MIN_FINISHED = 10


class FailureLedger:
    """Failures and finished tasks of one phase, with the reasons given.

    Args:
        max_share: the share of failed tasks beyond which the run ends, judged as if at least ten had finished.
    """

    def __init__(self, max_share: float) -> None:
        self._max_share = max_share
        self.failed = self.finished = 0
        self._reasons: Counter[str] = Counter()

    def count(self, finished: int, failures: Sequence[RolloutFailure]) -> None:
        """Add ``finished`` tasks, ``failures`` among them.

        Raises:
            RunFailedError: names the share and the most frequent reasons.
        """
        self.finished += finished
        self.failed += len(failures)
        self._reasons.update(failure.reason for failure in failures)
        if failures and self.failed > self._max_share * max(self.finished, MIN_FINISHED):
            reasons = "; ".join(f"{reason} ({count} times)" for reason, count in self._reasons.most_common(3))
            raise RunFailedError(
                f"{self.failed} of {self.finished} tasks failed, learning.max_failure_share = {self._max_share} "
                f"allows fewer: {reasons}; fix the cause and run the same command again to resume"
            )

    def state(self) -> dict[str, int | dict[str, int]]:
        """JSON-ready state."""
        return {"failed": self.failed, "finished": self.finished, "reasons": dict(self._reasons)}

    def load_state(self, state: Mapping[str, int | dict[str, int]]) -> None:
        """Take over the state of :meth:`state`."""
        failed, finished, reasons = state["failed"], state["finished"], state["reasons"]
        assert isinstance(failed, int) and isinstance(finished, int) and isinstance(reasons, dict)
        self.failed, self.finished, self._reasons = failed, finished, Counter(reasons)
