"""What the workers' model is and what its steps cost, asked of one of them."""

from __future__ import annotations

from recache_ray.diffusion.cost import StepCost
from recache_ray.errors import RunFailedError
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GenerationRequest, MechanismSpec, ModelReport, ProbeTask, RolloutFailure


def probe_model(pool: RolloutPool, mechanism: MechanismSpec, request: GenerationRequest) -> ModelReport:
    """Have an idle pool's worker describe its model; the reference of ``request`` must be stored.

    Raises:
        RunFailedError: if the worker cannot answer.
    """
    pool.submit(ProbeTask(0, mechanism, request))
    while True:
        for result in pool.collect():
            if isinstance(result, ModelReport):
                return result
            if isinstance(result, RolloutFailure):
                raise RunFailedError(f"measuring the cost of a step failed: {result.reason}")
        if not pool.in_flight:
            raise RunFailedError("measuring the cost of a step gave no answer; run the same command again")


def step_cost(report: ModelReport) -> StepCost:
    """The costs of a report."""
    return StepCost(report.computed_flops, report.cached_flops, report.computed_s, report.cached_s)
