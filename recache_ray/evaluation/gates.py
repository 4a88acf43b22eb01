"""Generations of adaptive methods, whose schedules differ from prompt to prompt and are known only afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recache_ray.evaluation.frontier import FrontierRow, Generated, ScheduleCost, frontier_row
from recache_ray.evaluation.measure import OnProgress
from recache_ray.evaluation.measured_gates import MeasuredGates, run_gates
from recache_ray.evaluation.samples import Sample, sample_of
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import (
    GateSpec,
    GenerationRequest,
    MechanismSpec,
    Rollout,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
)


@dataclass(frozen=True, slots=True)
class GatedMethod:
    """An adaptive method: what a cached step does, and its gate at each budget."""

    mechanism: MechanismSpec
    gates: Mapping[int, GateSpec]


@dataclass(frozen=True)
class GatedMeasurements:
    """What gates did on held-out requests.

    Attributes:
        methods: the methods that are compared, by name.
        rollouts: (method, budget, request) to the generation.
        incomplete: requests that one of ``methods`` failed on; a paired comparison leaves them out for every method.
        dropped: methods that failed too often to be compared, with the number of their failures.
        failures: tasks that gave no result.
        num_tasks: how many task ids were used.
    """

    methods: Mapping[str, GatedMethod]
    rollouts: Mapping[tuple[str, int, GenerationRequest], Rollout]
    incomplete: frozenset[GenerationRequest] = frozenset()
    dropped: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[RolloutFailure, ...] = ()
    num_tasks: int = 0

    def rows(
        self, requests: Sequence[GenerationRequest], cost: ScheduleCost, *, bootstrap_samples: int, seed: int
    ) -> tuple[FrontierRow, ...]:
        """One row per method and budget over ``requests``, none of which is incomplete.

        Computed steps are those of the schedules that arose; FLOPs and seconds include what asking the gate cost.
        """
        return tuple(
            frontier_row(
                name,
                budget,
                [self._generated(name, budget, request) for request in requests],
                method.mechanism,
                cost,
                bootstrap_samples=bootstrap_samples,
                seed=seed,
            )
            for name, method in self.methods.items()
            for budget in sorted(method.gates)
        )

    def samples(self, requests: Sequence[GenerationRequest]) -> tuple[Sample, ...]:
        """The generations behind :meth:`rows`."""
        return tuple(
            sample_of(name, method.mechanism, budget, request, rollout.schedule, rollout.breakdown)
            for name, method in self.methods.items()
            for budget in sorted(method.gates)
            for request in requests
            for rollout in (self.rollouts[name, budget, request],)
        )

    def _generated(self, name: str, budget: int, request: GenerationRequest) -> Generated:
        rollout = self.rollouts[name, budget, request]
        return Generated(request.prompt.text, rollout.schedule, rollout.breakdown, rollout.partial_forwards)


def measure_gates(
    pool: RolloutPool,
    methods: Mapping[str, GatedMethod],
    requests: Sequence[GenerationRequest],
    *,
    first_task_id: int = 0,
    on_progress: OnProgress | None = None,
    max_failure_share: float = 0.2,
    memory: MeasuredGates | None = None,
) -> GatedMeasurements:
    """Run every gate on every request, with all metrics, where ``memory`` does not know what it did.

    A method that fails on more than ``max_failure_share`` of the requests is dropped: one rival that breaks must not
    take the prompts of all others with it. What the others failed on is ``incomplete``.
    """
    tasks: list[RolloutTask] = []
    owners: list[str] = []
    for name, method in methods.items():
        for request in requests:
            task_id = first_task_id + len(tasks)
            gates = tuple(method.gates.values())
            tasks.append(RolloutTask(task_id, request, method.mechanism, gates=gates, all_metrics=True))
            owners.append(name)
    results = run_gates(pool, tasks, "adaptive", on_progress, memory)
    rollouts: dict[tuple[str, int, GenerationRequest], Rollout] = {}
    failed: dict[str, list[GenerationRequest]] = {name: [] for name in methods}
    for name, task, result in zip(owners, tasks, results, strict=True):
        if isinstance(result, RolloutGroup):
            for budget, rollout in zip(methods[name].gates, result.rollouts, strict=True):
                rollouts[name, budget, task.request] = rollout
        else:
            failed[name].append(task.request)
    dropped = {name: len(lost) for name, lost in failed.items() if len(lost) > max_failure_share * len(requests)}
    return GatedMeasurements(
        methods={name: method for name, method in methods.items() if name not in dropped},
        rollouts=rollouts,
        incomplete=frozenset(request for name, lost in failed.items() if name not in dropped for request in lost),
        dropped=dropped,
        failures=tuple(result for result in results if isinstance(result, RolloutFailure)),
        num_tasks=len(tasks),
    )
