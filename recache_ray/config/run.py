"""Where a run lives, and where its metrics go."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and what makes it repeatable."""

    dir: str = knob("runs/default", "folder of this run; the same folder again resumes it", required=True)
    seed: int = knob(0, "seed of prompts, noise, sampling and initialisation", ge=0)


@dataclass(frozen=True)
class TrackingConfig:
    """Where metrics go besides metrics.jsonl, which is always written."""

    mlflow: bool = knob(True, "log to MLflow")
    mlflow_uri: str = knob("", "sqlite:///... or http(s)://...; empty means sqlite in run.dir/mlflow.db")
    experiment: str = knob("", "MLflow experiment; empty means recache_ray/<model>, one for every model")
    run_name: str = knob("", "MLflow run name; empty means the name of run.dir, in a study the mechanism")
    study: str = knob("", "MLflow parent run that groups the runs to compare, one per mechanism; empty means none")
