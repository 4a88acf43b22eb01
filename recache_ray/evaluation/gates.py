"""Frontier rows of adaptive methods, whose schedules differ from prompt to prompt and are known only afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recache_ray.evaluation.frontier import FrontierRow, Generated, ScheduleCost, frontier_row
from recache_ray.evaluation.measure import OnProgress, run_tasks
from recache_ray.evaluation.samples import Sample, sample_of
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GateSpec, GenerationRequest, MechanismSpec, RolloutFailure, RolloutGroup, RolloutTask


@dataclass(frozen=True, slots=True)
class GatedMethod:
    """An adaptive method: what a cached step does, and its gate at each budget."""

    mechanism: MechanismSpec
    gates: Mapping[int, GateSpec]


@dataclass(frozen=True, slots=True)
class GatedRows:
    """What :func:`measure_gates` found: frontier rows and the generations behind them, failed tasks, task ids used."""

    rows: tuple[FrontierRow, ...]
    samples: tuple[Sample, ...] = ()
    failures: tuple[RolloutFailure, ...] = ()
    num_tasks: int = 0


def measure_gates(
    pool: RolloutPool,
    methods: Mapping[str, GatedMethod],
    requests: Sequence[GenerationRequest],
    cost: ScheduleCost,
    *,
    bootstrap_samples: int,
    seed: int,
    first_task_id: int = 0,
    on_progress: OnProgress | None = None,
) -> GatedRows:
    """Run every gate on every request, with all metrics; one row per method and budget.

    Computed steps are those of the schedules that arose; FLOPs and seconds include what asking the gate cost. A request
    whose task failed is missing from the rows of that method, and the failure is reported.
    """
    tasks: list[RolloutTask] = []
    owners: list[str] = []
    for name, method in methods.items():
        for request in requests:
            task_id = first_task_id + len(tasks)
            gates = tuple(method.gates.values())
            tasks.append(RolloutTask(task_id, request, method.mechanism, gates=gates, all_metrics=True))
            owners.append(name)
    results = run_tasks(pool, tasks, "adaptive", on_progress)
    found: dict[tuple[str, int], list[Generated]] = {}
    samples: list[Sample] = []
    for name, task, result in zip(owners, tasks, results, strict=True):
        if isinstance(result, RolloutGroup):
            for budget, rollout in zip(methods[name].gates, result.rollouts, strict=True):
                text, partial = task.request.prompt.text, rollout.partial_forwards
                generated = Generated(text, rollout.schedule, rollout.breakdown, partial)
                found.setdefault((name, budget), []).append(generated)
                samples.append(
                    sample_of(name, task.mechanism, budget, task.request, rollout.schedule, rollout.breakdown)
                )
    rows = tuple(
        frontier_row(
            name,
            budget,
            found[name, budget],
            method.mechanism,
            cost,
            bootstrap_samples=bootstrap_samples,
            seed=seed,
        )
        for name, method in methods.items()
        for budget in sorted(method.gates)
        if (name, budget) in found
    )
    failures = tuple(result for result in results if isinstance(result, RolloutFailure))
    return GatedRows(rows, tuple(samples), failures, len(tasks))
