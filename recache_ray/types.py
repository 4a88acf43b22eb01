"""The records that cross a stage or a process: floats, tuples and bytes only, standard library only.

Sizes: M siblings of one task, k budget, T denoising steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from recache_ray.schedules import Schedule

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a prompt set. Example: ``Prompt(index=3, text="a small red star ...", split="train")``."""

    index: int
    text: str
    split: Split = "train"


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One generation up to its schedule: the prompt and the seed of its starting noise."""

    prompt: Prompt
    noise_seed: int


@dataclass(frozen=True, slots=True)
class MechanismSpec:
    """Names a caching mechanism. Example: ``MechanismSpec("taylor", order=1)``; its ``id`` is ``taylor1``.

    Attributes:
        kind: the rule; ``dcta`` needs a probe at every step, so the first block always runs.
        order: of the forecast; ``reuse``, ``foca``, ``delta`` and ``dcta`` have none.
        cut: ``stack`` predicts the residual of the blocks as a whole, ``modules`` each attention and MLP output:
            ``MechanismSpec("reuse", cut="modules")`` is FORA.
    """

    kind: str
    order: int = 0
    cut: str = "stack"

    @property
    def id(self) -> str:
        name = self.kind if self.kind in ("reuse", "foca", "delta", "dcta") else f"{self.kind}{self.order}"
        return name if self.cut == "stack" else f"{name}_{self.cut}"


@dataclass(frozen=True, slots=True)
class GateSpec:
    """Names a gate: a rule that decides at each step of the generation under way whether it is computed.

    Attributes:
        kind: ``teacache``, ``magcache``, ``easycache``, ``fbcache`` or ``dicache``.
        threshold: a step is cached while the gate's measure of error stays below this; 0 computes every step.
        warm_steps: first steps that are computed whatever the measure says; at least 1.
        table: numbers from a calibration: the coefficients of TeaCache's polynomial, highest power first; MagCache's
            magnitude ratios, one per step.
        max_skips: MagCache's K, most cached steps in a row.

    Example: ``GateSpec("fbcache", 0.05)``.
    """

    kind: str
    threshold: float
    warm_steps: int = 1
    table: tuple[float, ...] = ()
    max_skips: int = 5


@dataclass(frozen=True, slots=True)
class RewardBreakdown:
    """The reward of one generation and the metrics it was made from.

    Attributes:
        reward: signed, weighted; higher is better; always finite.
        metrics: raw metrics without sign convention, for example ``{"lpips": 0.12, "quality": 0.27}``.
    """

    reward: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """Everything needed to sample from one version of the policy, a few kilobytes, sent by value with every task.

    Attributes:
        version: number of updates applied to it.
        config: what rebuilds the policy object (kind, sizes, budgets), plain JSON values.
        parameters: the parameters as one flat little-endian float32 array, in the policy's own order.
    """

    version: int
    config: Mapping[str, object]
    parameters: bytes


@dataclass(frozen=True, slots=True)
class ReferenceTask:
    """Make and store the uncached references (and prompt embeddings) of these requests."""

    task_id: int
    requests: tuple[GenerationRequest, ...]


@dataclass(frozen=True, slots=True)
class ReferenceReport:
    """A finished :class:`ReferenceTask`: how many references it wrote, and how long that took."""

    task_id: int
    written: int
    seconds: float
    worker: str = ""


@dataclass(frozen=True, slots=True)
class ProbeTask:
    """Ask a worker which model it runs and what a step of it costs, so that the learner never loads one.

    The stored reference of ``request`` lends its prompt embedding.
    """

    task_id: int
    mechanism: MechanismSpec
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The answer to a :class:`ProbeTask`.

    Attributes:
        model: what ``schedules.json`` says of the model, JSON values.
        computed_flops, cached_flops: floating-point operations of one computed and one cached step, one sibling.
        computed_s, cached_s: seconds of the same, measured on the worker.
    """

    task_id: int
    model: Mapping[str, str | int | float]
    computed_flops: float
    cached_flops: float
    computed_s: float
    cached_s: float
    worker: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationTask:
    """Measure the block stack's residuals over one uncached generation, for baselines that are calibrated."""

    task_id: int
    request: GenerationRequest
    mechanism: MechanismSpec


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A finished :class:`CalibrationTask`, see :mod:`recache_ray.caching.residual_errors`.

    Attributes:
        magnitude_ratios: [T].
        reuse_errors: [T, T] as little-endian float32, row by row.
        forecast_errors: [T, T, T] of the task's mechanism, likewise.
        forwards: transformer forwards the generation took.
        seconds: time in the worker.
    """

    task_id: int
    request: GenerationRequest
    num_steps: int
    magnitude_ratios: tuple[float, ...]
    reuse_errors: bytes
    forecast_errors: bytes
    forwards: int
    seconds: float
    worker: str = ""


@dataclass(frozen=True, slots=True)
class SignalTask:
    """Record what TeaCache's polynomial is fitted to, over one uncached generation of a stored reference's request."""

    task_id: int
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class SignalReport:
    """A finished :class:`SignalTask`, of a model of T steps.

    Attributes:
        input_changes: [T - 2] relative L1 change of the timestep-modulated input from step to step, from step 1 on.
        output_changes: [T - 2] the same of the transformer's output, at the same steps.
        forwards: transformer forwards the generation took.
        seconds: time in the worker.
    """

    task_id: int
    input_changes: tuple[float, ...]
    output_changes: tuple[float, ...]
    forwards: int
    seconds: float
    worker: str = ""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class RolloutFailure:
    """A task that gave no result, with the reason as data.

    ``retryable`` says whether running the same task again could succeed (a lost worker) or not (NaN in a generation).
    """

    task_id: int
    reason: str
    retryable: bool = False
    worker: str = ""


@dataclass(frozen=True, slots=True)
class UpdateStats:
    """What one policy update did; logged under the keys of ``metrics``."""

    policy_version: int
    groups: int
    metrics: Mapping[str, float]


Task = RolloutTask | ReferenceTask | ProbeTask | CalibrationTask | SignalTask
TaskResult = RolloutGroup | ReferenceReport | ModelReport | CalibrationReport | SignalReport | RolloutFailure
