"""From the learned policy to the schedule table: where the local search starts, and how its outcome is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch

from recache_ray.learning.evidence import Measurement
from recache_ray.learning.judges import Judges
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.moves import evenly_spaced
from recache_ray.learning.polish import LocalSearch
from recache_ray.learning.prior import Prior
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.seeding import derive_seed
from recache_ray.types import GenerationRequest

POLICY_SAMPLES = 32


def start_search(
    policy: BudgetPolicy,
    memo: RewardMemo,
    version: int,
    judges: Judges,
    training: Sequence[GenerationRequest],
    *,
    evaluations: int,
    seed: int,
    prior: Prior | None = None,
) -> LocalSearch:
    """A search from the policy's modes, samples, even spacing and a prior, knowing the memo as of ``version``."""
    with torch.no_grad():
        batch = policy.distributions()
        starts = {}
        for budget, mode in zip(batch.budgets, batch.modes(), strict=True):
            generator = torch.Generator().manual_seed(derive_seed("starts", seed, budget))
            sampled = batch.at(budget).sample(POLICY_SAMPLES, generator)
            starts[budget] = (mode, evenly_spaced(policy.num_steps, budget), *sampled)
    requests = list(dict.fromkeys((*judges.requests, *training)))
    measured = [
        Measurement(schedule, number, breakdown.reward)
        for number, request in enumerate(requests)
        for schedule, breakdown in memo.known(request, version).items()
    ]
    return LocalSearch(starts, range(len(judges.requests)), measured, evaluations, seed, prior, judges.weights)


def validation_metrics(
    memo: RewardMemo, judges: Judges, schedules: Mapping[int, Schedule]
) -> dict[int, dict[str, float]]:
    """Weighted mean of reward and metrics of each budget's schedule over the judges it was measured on."""
    rows = {}
    for budget, schedule in schedules.items():
        found = [
            (weight, breakdown)
            for request, weight in zip(judges.requests, judges.weights, strict=True)
            if (breakdown := memo.get(request, schedule)) is not None
        ]
        if found:
            weights, breakdowns = zip(*found, strict=True)
            names = sorted(breakdowns[0].metrics)
            rows[budget] = {
                "reward": fmean((breakdown.reward for breakdown in breakdowns), weights),
                **{name: fmean((breakdown.metrics[name] for breakdown in breakdowns), weights) for name in names},
                "num_samples": float(len(found)),
            }
    return rows


def schedule_table(
    policy: BudgetPolicy,
    memo: RewardMemo,
    judges: Judges,
    schedules: Mapping[int, Schedule],
    seed: int,
) -> ScheduleTable:
    """The table of the chosen schedules; the caller adds model and further provenance."""
    return ScheduleTable(
        num_steps=policy.num_steps,
        schedules=dict(schedules),
        mechanism={"id": memo.mechanism.id, "kind": memo.mechanism.kind, "order": memo.mechanism.order},
        metrics=validation_metrics(memo, judges, schedules),
        provenance={"seed": seed, "evaluations": len(memo)},
    )
