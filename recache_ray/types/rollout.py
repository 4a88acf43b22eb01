"""Cached generations and their rewards. Size: M siblings of one task.

No slots here and in what these hold: a frozen class with slots is pickled by a Python call an object, which a learner
with hundreds of actors feels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from recache_ray.schedules import Schedule
from recache_ray.types.mechanism import GateSpec, MechanismSpec
from recache_ray.types.request import GenerationRequest


@dataclass(frozen=True)
class RewardBreakdown:
    """The reward of one generation and the metrics it was made from.

    Attributes:
        reward: signed, weighted; higher is better; always finite.
        metrics: raw metrics without sign convention, for example ``{"lpips": 0.12, "quality": 0.27}``.
    """

    reward: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RolloutTask:
    """M cached generations of one request, each scored against the stored reference.

    Exactly one of ``budgets``, ``schedules`` and ``gates`` is non-empty. With ``budgets`` the worker samples one
    schedule per entry from the snapshot that travels with the task, seeded by ``sampling_seed`` and the sibling's
    index; siblings of equal budget form a group with a common baseline. With ``schedules`` these are run as given.
    With ``gates`` each chooses the computed steps of one generation while it runs.

    Attributes:
        task_id: position in the run's order of work; a pure function of it determines prompt, seeds and policy version.
        known: rewards already measured for this request and mechanism, so that no argument is evaluated twice.
        policy_version: the version to sample from; 0 and unused when schedules are given.
        all_metrics: also measure the metrics only evaluation needs (PSNR, SSIM, quality).
        return_images: also return every generation as PNG bytes, animated where it is a video (for grids; keep M
            small).

    Example: ``RolloutTask(7, request, spec, budgets=(3, 3, 5, 5), sampling_seed=11, policy_version=2)``.
    """

    task_id: int
    request: GenerationRequest
    mechanism: MechanismSpec
    budgets: tuple[int, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    sampling_seed: int = 0
    policy_version: int = 0
    known: Mapping[Schedule, RewardBreakdown] = field(default_factory=dict)
    all_metrics: bool = False
    return_images: bool = False
    gates: tuple[GateSpec, ...] = ()


@dataclass(frozen=True)
class Rollout:
    """One sibling: its schedule, the log-probability under the policy that sampled it, and its reward.

    ``log_prob`` is 0.0 for given schedules and gates. ``memoised`` marks a reward that was known and not evaluated
    again. Under a gate ``schedule`` is the one that arose, and ``partial_forwards`` what asking the gate cost on top,
    in FLOPs of a computed step (a probe of one block in ten at 40 cached steps: 4.0).
    """

    schedule: Schedule
    log_prob: float
    breakdown: RewardBreakdown
    memoised: bool = False
    image_png: bytes | None = None
    partial_forwards: float = 0.0


@dataclass(frozen=True)
class RolloutGroup:
    """A finished :class:`RolloutTask`: its M rollouts in the order asked for, and what they cost.

    Attributes:
        forwards_requested: transformer forwards that M separate pipeline calls would have computed.
        forwards_executed: distinct computed prefixes, the forwards that ran (M = 1 counts one per compute step).
        seconds: time in the worker.
    """

    task_id: int
    request: GenerationRequest
    policy_version: int
    rollouts: tuple[Rollout, ...]
    forwards_requested: int
    forwards_executed: int
    seconds: float
    worker: str = ""

    @property
    def evaluations(self) -> int:
        """Rewards measured for this group: distinct schedules that were not known before."""
        return len({rollout.schedule for rollout in self.rollouts if not rollout.memoised})
