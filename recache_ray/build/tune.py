"""The verb ``tune``: search settings by many short trainings, and check the best against those given."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recache_ray.build.model_check import check_model
from recache_ray.build.pool import check_runtime, open_pool
from recache_ray.build.progress import OnProgress, heeding
from recache_ray.build.references import fill_references
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.build.run_folder import claim_run_folder
from recache_ray.build.search_space import Dimension, given_values, parse_space
from recache_ray.build.tune_report import Confirmation, best_trial, experiment_yaml, tune_text
from recache_ray.build.tune_tracking import TrialTracking
from recache_ray.build.tune_trial import SCORE, SEED, Trial, check_judgeable
from recache_ray.config.root import Config
from recache_ray.distributed import tuning
from recache_ray.distributed.stop_signals import stop_signals
from recache_ray.errors import BadInputError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.learning.progress import Interrupted
from recache_ray.types import GenerationRequest

_ROLE = "settings"
_GIVEN, _BEST = "given", "best"


@dataclass(frozen=True)
class TuneOutcome:
    """How a search ended: with a text, or interrupted and ready to go on."""

    interrupted: bool
    text: str


def tune(config: Config, on_progress: OnProgress) -> TuneOutcome:
    """Search ``sweep.space``; write ``run.dir/experiment/tuned.yaml``, ``trials.json`` and the MLflow runs.

    References are made first and shared by all trainings. The same command again goes on where it was interrupted.

    Raises:
        BadInputError: if the space, the model, run.dir or the tracker cannot be used.
        RunFailedError: if every training failed.
    """
    check_runtime(config)
    check_model(config)
    check_judgeable(config)
    if config.sweep.grace_updates > config.learning.num_updates:
        raise BadInputError(
            f"sweep.grace_updates = {config.sweep.grace_updates}: must be at most learning.num_updates = "
            f"{config.learning.num_updates}"
        )
    space = parse_space(config)
    with claim_run_folder(config, on_progress) as folder:
        return _Tuning(_absolute(config), folder, space, on_progress).run()


def _absolute(config: Config) -> Config:
    """Trials run in processes of their own, which need not start in this folder."""
    references = replace(config.references, dir=str(Path(config.references.dir).resolve()))
    return replace(config, references=references, run=replace(config.run, dir=str(Path(config.run.dir).resolve())))


class _Tuning:
    """A search and its confirmation in one run folder."""

    def __init__(self, config: Config, folder: Path, space: tuple[Dimension, ...], on_progress: OnProgress) -> None:
        self._config, self._folder, self._space, self._on_progress = config, folder, space, on_progress
        self._given = given_values(config, space)

    def run(self) -> TuneOutcome:
        from recache_ray.distributed.cluster import connect

        config = self._config
        with connect(config.runtime, self._on_progress):
            self._fill_references()
            trials = self._stage("search", self._search(), "validation")
            if trials is None:
                return _interrupted(self._folder)
            best = best_trial(trials)
            confirmation: Confirmation | None = None
            differs = any(best.values[d.name] != self._given[d.name] for d in self._space)
            if differs and config.sweep.confirm_seeds:
                confirmed = self._stage("confirm", self._confirm(), "test", best.values)
                if confirmed is None:
                    return _interrupted(self._folder)
                confirmation = _pairs(confirmed)
        path = self._folder / "experiment" / "tuned.yaml"
        path.parent.mkdir(exist_ok=True)
        text = experiment_yaml(config, best, len(trials), confirmation)
        replace_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
        return TuneOutcome(False, tune_text(config, self._given, trials, best, confirmation, path))

    def _fill_references(self) -> None:
        """Those of every prompt that any training will look at, before the first one starts."""
        wanted: dict[GenerationRequest, None] = {}
        for seed in range(self._config.run.seed, self._config.run.seed + 1 + self._config.sweep.confirm_seeds):
            prompts = prompt_set(replace(self._config, run=replace(self._config.run, seed=seed)))
            wanted |= dict.fromkeys(requests_of((*prompts.train, *prompts.validation, *prompts.test)))
        if (self._folder / "search").exists():
            return
        with stop_signals() as stop, open_pool(self._config, self._on_progress) as pool:
            size = self._config.references.requests_per_task
            try:
                fill_references(pool, list(wanted), size, heeding(stop, self._on_progress))
            except Interrupted:
                raise KeyboardInterrupt from None

    def _stage(
        self, name: str, search: tuning.Search, split: str, best: Mapping[str, Any] | None = None
    ) -> list[tuning.TrialResult] | None:
        """Run a search unless its results are there already."""
        record = self._folder / f"{name}.json"
        if record.exists():
            return [tuning.TrialResult(**row) for row in json.loads(record.read_text(encoding="utf-8"))]
        trial = Trial(self._config, str(Path.cwd()), split, str(self._folder / "checkpoints"))
        with_roles = _WithRoles(trial, self._given, best) if best is not None else trial
        with TrialTracking(self._config, self._folder, name, search.trials, self._on_progress) as tracking:
            results = tuning.run_search(search, with_roles.run, tracking)
        if results is None:
            return None
        rows = [
            {"name": r.name, "values": dict(r.values), "updates": r.updates, "metrics": dict(r.metrics)}
            for r in results
        ]
        replace_atomically(record, lambda path: path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8"))
        return results

    def _search(self) -> tuning.Search:
        config = self._config
        return tuning.Search(
            folder=self._folder / "search",
            space=tuple(tuning.Dimension(d.name, d.kind, d.values) for d in self._space),
            metric=SCORE,
            trials=config.sweep.trials,
            bundles=_bundles(config),
            max_updates=config.learning.num_updates,
            concurrent=config.sweep.concurrent,
            algorithm=config.sweep.search,
            seed=config.run.seed,
            first=self._given,
            grace=config.sweep.grace_updates,
            reduction=config.sweep.reduction,
        )

    def _confirm(self) -> tuning.Search:
        """Both settings on every seed that the search has not seen."""
        first = self._config.run.seed + 1
        seeds = tuple(range(first, first + self._config.sweep.confirm_seeds))
        return replace(
            self._search(),
            folder=self._folder / "confirm",
            space=(tuning.Dimension(_ROLE, "grid", (_GIVEN, _BEST)), tuning.Dimension(SEED, "grid", seeds)),
            trials=2 * len(seeds),
            algorithm="all",
            first=None,
            grace=None,
        )


@dataclass(frozen=True)
class _WithRoles:
    """Trainings with the settings given, or with the best ones."""

    trial: Trial
    given: Mapping[str, Any]
    best: Mapping[str, Any]

    def run(self, values: Mapping[str, Any], name: str, report: Any) -> None:
        chosen = self.given if values[_ROLE] == _GIVEN else self.best
        self.trial.run({**chosen, SEED: values[SEED]}, name, report)


def _bundles(config: Config) -> tuple[dict[str, float], ...]:
    runtime = config.runtime
    workers = 0 if runtime.kind == "inline" else runtime.num_workers
    return tuning.bundles(runtime.cpus_per_worker, runtime.gpus_per_worker, workers)


def _pairs(results: list[tuning.TrialResult]) -> Confirmation:
    """Scores by seed, of the settings given and of the best."""
    scores = {(str(r.values[_ROLE]), int(r.values[SEED])): r.metrics[SCORE] for r in results}
    seeds = sorted({seed for _, seed in scores})
    nothing = math.nan
    return Confirmation(
        tuple((seed, scores.get((_GIVEN, seed), nothing), scores.get((_BEST, seed), nothing)) for seed in seeds)
    )


def _interrupted(folder: Path) -> TuneOutcome:
    return TuneOutcome(True, f"interrupted; run the same command again to go on with {folder}")
