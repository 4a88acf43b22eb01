"""Settings of ``recache tune``: what is searched, for how long, and how the outcome is judged."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class SweepConfig:
    """A search over settings of the run that the other sections describe."""

    space: tuple[str, ...] = knob(
        ("learning.entropy_weight=loguniform(0.02,1)", "learning.learning_rate=loguniform(0.02,0.6)"),
        "settings to search, each as NAME=uniform(a,b), loguniform(a,b), integer(a,b) or choice(a,b,...)",
    )
    trials: int = knob(16, "trainings tried, that with the settings as given among them", ge=1, le=100_000)
    concurrent: int = knob(0, "trainings at a time; 0 means as many as the cluster has room for", ge=0)
    search: str = knob("optuna", "optuna: TPE, needs the extra tune; random", choices=("optuna", "random"))
    report_every: int = knob(2, "updates between two judgements of a training on the validation prompts", ge=1)
    grace_updates: int = knob(4, "updates every training gets before ASHA may stop it", ge=1)
    reduction: int = knob(3, "ASHA lets one of this many go on at every rung", ge=2, le=100)
    confirm_seeds: int = knob(
        3, "further seeds on which the best settings are compared with those given, on test prompts; 0 for none", ge=0
    )
