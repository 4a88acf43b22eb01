"""Measuring a trained policy: against baselines, at other numbers of steps, in published tables."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class EvaluationConfig:
    """Held-out comparison with the baselines."""

    budgets: str = knob("", "budgets to evaluate; empty means learning.budgets")
    baselines: tuple[str, ...] = knob(
        ("uniform", "uniform_warm", "uniform_ends", "random"),
        "schedules to compare with; adaptive rivals (teacache, easycache, fbcache, dicache) also as NAME_frozen; "
        "budcache and random_search run many generations",
    )
    gate_prompts: int = knob(
        8, "prompts that thresholds of adaptive baselines are found on, never those of split", ge=1
    )
    gate_budgets: str = knob("", "budgets adaptive baselines are brought to; empty means all that are evaluated")
    split: str = knob("test", "prompts to evaluate on", choices=("train", "validation", "test"))
    further_prompts: int = knob(
        0,
        "prompts that are in no split, evaluated on besides those of split: more certainty without training anew",
        ge=0,
    )
    random_schedules: int = knob(2, "schedules averaged for the random baseline", ge=1)
    bootstrap_samples: int = knob(1000, "resamplings of prompts behind the confidence intervals", ge=100)
    calibration_prompts: int = knob(4, "train prompts that calibrated baselines are measured on", ge=1)
    lemica_max_gap: int = knob(8, "longest jump between computed steps of lemica; each costs a generation", ge=2)
    search_evaluations: int = knob(
        0,
        "evaluations of (prompt, schedule) per budget of budcache and random_search; 0 means as many as this run's "
        "learner measured, divided by its budgets",
        ge=0,
        le=1_000_000,
    )
    search_prompts: int = knob(1, "train prompts budcache and random_search judge on; 1 as published", ge=1, le=4096)
    grid_prompts: int = knob(4, "prompts shown in the image grid", ge=1, le=16)


@dataclass(frozen=True)
class TransferConfig:
    """A run's schedules at other numbers of steps."""

    num_steps: tuple[int, ...] = knob((), "numbers of steps to carry the schedules of the run to, each 2..1000")
    against: tuple[str, ...] = knob((), "folders of runs trained at these numbers of steps, to compare with")


@dataclass(frozen=True)
class ResultsConfig:
    """Publishing evaluated runs."""

    runs: tuple[str, ...] = knob(
        (),
        "folders of evaluated runs: other mechanisms, other seeds; or a NAME.json written before, whose runs stay but "
        "where a folder is of the same model, mechanism, T and seed; empty means run.dir",
    )
    name: str = knob("main_job", "names the files, and the section of the readme between its marks", required=True)
    dir: str = knob("docs/results", "folder of the files NAME.json, NAME.csv, NAME.md and NAME.png", required=True)
    readme: str = knob(
        "README.md", "file with the lines <!-- results:begin NAME --> and <!-- results:end NAME -->", required=True
    )
