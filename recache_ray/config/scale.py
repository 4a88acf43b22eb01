"""Settings of ``bench scale``: a cluster that is simulated around the real learner, loop and pool."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class ScaleConfig:
    """Simulated rollout actors: how many, how long a task takes, how often one is preempted."""

    actors: tuple[int, ...] = knob((1, 4, 16, 64, 256, 512), "numbers of simulated rollout actors", ge=1, le=4096)
    processes: int = knob(
        16,
        "up to this many actors are processes of their own, more share one process, and this many are run both ways",
        ge=0,
        le=1024,
    )
    seconds: float = knob(30.0, "seconds measured at every number of actors", gt=0)
    warmup_s: float = knob(10.0, "seconds between the first result and the measurement", ge=0)
    mean_s: float = knob(4.0, "mean seconds of a task, gamma distributed; 4 is a few FLUX pictures on an H100", gt=0)
    cv: float = knob(0.25, "standard deviation of the seconds of a task over their mean", ge=0, le=2)
    preemptions_per_hour: float = knob(1.0, "of every actor, at random moments", ge=0)
    reload_s: float = knob(10.0, "seconds a replaced actor takes to load its model", ge=0)
    order: str = knob("arrival", "order of updates in place of learning.order", choices=("arrival", "deterministic"))
    policy_lag: int = knob(4, "lag of the deterministic order in place of learning.policy_lag", ge=0, le=64)
    tasks_per_update: int = knob(0, "tasks of an update; 0 means half the number of actors", ge=0)
    steps: int = knob(50, "T of the simulated model in place of model.num_steps", ge=2, le=1000)
    budgets: str = knob("5..25", "budgets in place of learning.budgets", required=True)
    budgets_per_task: int = knob(1, "in place of learning.budgets_per_task; 0 means all", ge=0)
    prompts: int = knob(2048, "training prompts, none of which is ever generated", ge=1, le=1_000_000)
