"""The threshold at which a gate computes a given number of steps on average, found on calibration prompts.

An adaptive rival is compared at equal compute: its threshold is bisected until the mean number of computed steps is k
within a tolerance. Its frozen variant runs the schedule it most often chose, at exactly k.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.measure import OnProgress
from recache_ray.evaluation.measured_gates import MeasuredGates, run_gates
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import GateSpec, GenerationRequest, MechanismSpec, RolloutGroup, RolloutTask

TOLERANCE = 0.3
"""How far the mean may be from k, in steps."""

MAX_ROUNDS = 16
"""Most thresholds tried for one budget."""


@dataclass(frozen=True, slots=True)
class MatchedGate:
    """A gate at the threshold nearest to a budget.

    Attributes:
        gate: with the threshold found.
        budget: k asked for.
        computed_steps_mean: over the calibration requests, at this threshold.
        reached: whether that is within the tolerance of k. Where the gate must compute more than k steps, or jumps
            over k between two thresholds, it is not, and the nearest mean is what there is.
        frozen: the modal schedule among those of exactly k computed steps.
    """

    gate: GateSpec
    budget: int
    computed_steps_mean: float
    reached: bool
    frozen: Schedule


class ThresholdSearch:
    """Finds thresholds of one gate for several budgets, remembering every threshold tried.

    Args:
        pool: where generations run; references of the requests must be stored.
        gate: its threshold is replaced.
        requests: calibration prompts, never those of the final comparison.
        mechanism: what cached steps do.
        num_steps: T.
        tolerance: how far the mean may be from the budget.
        max_rounds: most thresholds tried for one budget.
        first_task_id: task ids from here on are used; :attr:`next_task_id` says how far.
        on_progress: called with (``calibrate``, tasks done, tasks in all) for each threshold.
        memory: thresholds tried in an earlier evaluation, which do not run again; ``work`` counts them all the same.

    Attributes:
        work: what was run, probes of the gate left out.

    Raises:
        BadInputError: if there are no requests.
    """

    def __init__(
        self,
        pool: RolloutPool,
        gate: GateSpec,
        requests: Iterable[GenerationRequest],
        mechanism: MechanismSpec,
        num_steps: int,
        *,
        tolerance: float = TOLERANCE,
        max_rounds: int = MAX_ROUNDS,
        first_task_id: int = 0,
        on_progress: OnProgress | None = None,
        memory: MeasuredGates | None = None,
    ) -> None:
        self._pool = pool
        self._gate = gate
        self._requests = tuple(dict.fromkeys(requests))
        if not self._requests:
            raise BadInputError(f"calibrating {gate.kind}: no prompts given; raise prompts.num_validation")
        self._mechanism = mechanism
        self._num_steps = num_steps
        self._tolerance = tolerance
        self._max_rounds = max_rounds
        self._on_progress = on_progress
        self._memory = memory
        self._tried: dict[float, tuple[Schedule, ...]] = {0.0: (Schedule.full(num_steps),)}
        self.next_task_id = first_task_id
        self.work = Work()

    def match(self, budget: int) -> MatchedGate:
        """The threshold for ``budget`` computed steps.

        Two thresholds with means on either side of the budget close in on it: the upper one grows fourfold until the
        mean falls to the budget, then their middle replaces one of them. Means of earlier budgets are used.

        Raises:
            BadInputError: if ``budget`` is outside 1..T.
            RunFailedError: if a calibration generation fails.
        """
        if not 1 <= budget <= self._num_steps:
            raise BadInputError(f"budget = {budget}: must be between 1 and num_steps = {self._num_steps}")
        if self._mean(math.inf) < budget:
            self._close_in(budget)
        best = min(self._tried, key=lambda threshold: (abs(self._mean(threshold) - budget), threshold))
        mean = self._mean(best)
        return MatchedGate(
            gate=replace(self._gate, threshold=best),
            budget=budget,
            computed_steps_mean=mean,
            reached=abs(mean - budget) <= self._tolerance,
            frozen=modal_schedule(budget, self._tried[best], self._all_schedules()),
        )

    def _close_in(self, budget: int) -> None:
        for _ in range(self._max_rounds):
            if any(abs(self._mean(threshold) - budget) <= self._tolerance for threshold in self._tried):
                return
            low = max(threshold for threshold in self._tried if self._mean(threshold) > budget)
            above = [threshold for threshold in self._tried if threshold > low and self._mean(threshold) < budget]
            high = min(above)
            if math.isinf(high):
                self._mean(4 * low if low else 0.25)
            else:
                self._mean((low + high) / 2)

    def _mean(self, threshold: float) -> float:
        """Mean computed steps at a threshold, measured at the first time of asking."""
        if threshold not in self._tried:
            self._tried[threshold] = self._run(replace(self._gate, threshold=threshold))
        schedules = self._tried[threshold]
        return sum(schedule.budget for schedule in schedules) / len(schedules)

    def _run(self, gate: GateSpec) -> tuple[Schedule, ...]:
        tasks = [
            RolloutTask(self.next_task_id + place, request, self._mechanism, gates=(gate,))
            for place, request in enumerate(self._requests)
        ]
        self.next_task_id += len(tasks)
        results = run_gates(self._pool, tasks, "calibrate", self._on_progress, self._memory)
        groups = [result for result in results if isinstance(result, RolloutGroup)]
        if len(groups) < len(tasks):
            failed = next(result for result in results if not isinstance(result, RolloutGroup))
            raise RunFailedError(
                f"calibrating {gate.kind} at threshold {gate.threshold:g}: {getattr(failed, 'reason', 'no answer')}"
            )
        for group in groups:
            self.work += Work(1, group.forwards_requested, group.forwards_executed, group.seconds)
        return tuple(group.rollouts[0].schedule for group in groups)

    def _all_schedules(self) -> list[Schedule]:
        return [schedule for schedules in self._tried.values() for schedule in schedules]


def modal_schedule(budget: int, chosen: Sequence[Schedule], others: Sequence[Schedule] = ()) -> Schedule:
    """The most frequent schedule of exactly ``budget`` computed steps, ties to the lexicographically first.

    Where none of ``chosen`` has that many, those among ``others`` count; where there is none either, the steps that
    ``chosen`` compute most often make one, step 0 included and earlier steps first among equals.
    """
    for schedules in (chosen, others):
        counts = Counter(schedule for schedule in schedules if schedule.budget == budget)
        if counts:
            return min(counts, key=lambda schedule: (-counts[schedule], schedule))
    uses = Counter(step for schedule in chosen for step in schedule.compute_steps)
    num_steps = chosen[0].num_steps
    order = sorted(range(1, num_steps), key=lambda step: (-uses[step], step))
    return Schedule.from_steps(num_steps, (0, *order[: budget - 1]))
