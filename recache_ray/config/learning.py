"""The policy and how it learns."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class PolicyConfig:
    """The distribution over schedules."""

    kind: str = knob(
        "path",
        "path scores pairs of consecutive compute steps, the other two score steps",
        choices=("path", "conditional_bernoulli", "plackett_luce"),
    )
    parameterisation: str = knob(
        "tables",
        "tables: shared + per-budget tables; network: small MLP over features, carries to other T",
        choices=("tables", "network"),
    )
    hidden_size: int = knob(64, "width of the network parameterisation", ge=4, le=4096)
    logit_bound: float = knob(12.0, "scores are squashed into plus or minus this", gt=0, le=100)


@dataclass(frozen=True)
class LearningConfig:
    """The policy-gradient loop."""

    budgets: str = knob(
        "3..5",
        'budgets to learn, for example "3..10", "5,8,12", "x5,20%", or "250ms" once measured',
        required=True,
    )
    siblings: int = knob(8, "schedules sampled per (prompt, seed, budget); the baseline leaves one out", ge=2, le=1024)
    budgets_per_task: int = knob(0, "budgets one task covers; 0 means all, so that siblings share prefixes", ge=0)
    tasks_per_update: int = knob(2, "prompts per policy update", ge=1)
    num_updates: int = knob(16, "policy updates", ge=0)
    learning_rate: float = knob(0.1, "Adam step size", gt=0, le=10)
    entropy_weight: float = knob(0.25, "initial entropy bonus, in reward standard deviations; annealed to 0", ge=0)
    importance_clip: float = knob(2.0, "truncation of importance weights of stale groups", ge=1)
    max_grad_norm: float = knob(1.0, "gradient clipping", gt=0)
    order: str = knob(
        "deterministic",
        "deterministic is bit-exactly resumable, arrival applies groups as they finish",
        choices=("deterministic", "arrival"),
    )
    policy_lag: int = knob(0, "updates a task's policy may trail in deterministic order; 0 is synchronous", ge=0, le=64)
    max_policy_lag: int = knob(4, "arrival order drops groups older than this, counted", ge=0, le=1024)
    polish_evaluations: int = knob(1600, "rewards spent on local moves around the mode, on validation prompts", ge=0)
    num_judges: int = knob(
        32,
        "validation prompts the polish judges schedules on, drawn by how hard they are after all have been screened; "
        "0 means all, each counting the same",
        ge=0,
    )
    num_confirming: int = knob(
        64,
        "other validation prompts, drawn likewise from a part set aside, on which the best few schedules of a budget "
        "and the rivals are confirmed; as many as there are, if fewer",
        ge=0,
    )
    rivals: tuple[str, ...] = knob(
        ("uniform_warm", "uniform_ends", "magcache_frozen", "dpcache"),
        "baselines whose schedules the polish tries first; those that need a calibration are calibrated before",
    )
    save_every: int = knob(1, "updates between checkpoints", ge=1)
    keep_checkpoints: int = knob(3, "newest checkpoints kept", ge=2)
    max_failure_share: float = knob(0.2, "stop when more than this share of the tasks failed", ge=0, le=1)
