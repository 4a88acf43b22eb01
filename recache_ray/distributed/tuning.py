"""Searches of Ray Tune: many trainings at a time, each with its own reservation, resumable after any interruption.

Ray keeps its own state of a search in files that it pickles and that ``Tuner.restore`` reads. They lie in the folder of
the search and must come from nowhere else.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recache_ray.distributed.tuning_listener import UPDATES, Listener
from recache_ray.distributed.tuning_state import can_go_on
from recache_ray.errors import BadInputError, RunFailedError

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # what a trial reports is recorded by the listener
    "RAY_AIR_NEW_OUTPUT": "0",  # the other one prints boxes at verbosity 0
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "5",  # at most this much of a search is lost with the process
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
}
RunTrial = Callable[[Mapping[str, Any], str, Callable[[int, Mapping[str, float]], None]], None]
"""Runs one training: its values, its name, and where it reports updates and metrics. Must be picklable."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One searched setting: ``uniform``, ``loguniform``, ``integer`` (ends included), ``choice`` or ``grid``."""

    name: str
    kind: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What to search, and how.

    Attributes:
        folder: receives the state of the search; the same folder again goes on.
        space: the searched settings.
        metric: the higher the better.
        trials: trainings, one for each point of a ``grid``.
        bundles: what one training reserves, its own process first and its rollout actors after it, as one placement
            group: it starts with all of it or not at all, so that trainings never wait for each other's actors.
        max_updates: length of a training.
        concurrent: trainings at a time; 0 for as many as there is room for.
        algorithm: ``optuna``, ``random`` or, for a ``grid``, ``all``.
        seed: of the choices.
        first: a point to try before others.
        grace: updates before ASHA stops a training; None lets all of them finish.
        reduction: ASHA keeps one of this many.
    """

    folder: Path
    space: tuple[Dimension, ...]
    metric: str
    trials: int
    bundles: tuple[Mapping[str, float], ...]
    max_updates: int
    concurrent: int = 0
    algorithm: str = "optuna"
    seed: int = 0
    first: Mapping[str, Any] | None = None
    grace: int | None = None
    reduction: int = 3


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A training that ended: its values and the last metrics it reported, with the number of updates then."""

    name: str
    values: Mapping[str, Any]
    updates: int
    metrics: Mapping[str, float]


def bundles(cpus: float, gpus: float, workers: int) -> tuple[dict[str, float], ...]:
    """What a training with ``workers`` rollout actors reserves: nothing for the learner, then one bundle an actor.

    Without actors of its own (``workers`` = 0) the training itself works and reserves what an actor would.
    """
    each = {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount}
    if workers == 0:
        return (each or {"CPU": 1.0},)
    return ({}, *(dict(each) for _ in range(workers))) if each else ({"CPU": 1.0},)


def run_search(search: Search, run_trial: RunTrial, listener: Listener) -> list[TrialResult] | None:
    """Run or go on with a search; None when it was interrupted and can go on later.

    Raises:
        BadInputError: if the searcher is not installed.
        RunFailedError: if every training failed, with the first reason; if what Ray left of the search is not whole.
    """
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    from ray import tune

    from recache_ray.distributed.tuning_relay import Relay, listening

    def trainable(config: dict[str, Any]) -> None:
        def report(updates: int, metrics: Mapping[str, float]) -> None:
            tune.report({UPDATES: updates, **metrics})

        run_trial(config, tune.get_context().get_trial_id(), report)

    reserved = tune.with_resources(trainable, tune.PlacementGroupFactory([dict(bundle) for bundle in search.bundles]))
    place = search.folder.resolve()
    with listening(listener):
        if tune.Tuner.can_restore(str(place)) and can_go_on(place):
            tuner = tune.Tuner.restore(str(place), trainable=reserved, resume_unfinished=True, restart_errored=True)
        else:
            tuner = tune.Tuner(
                reserved,
                param_space=None if search.algorithm == "optuna" else _ray_space(search.space),
                tune_config=_tune_config(search),
                run_config=tune.RunConfig(
                    name=place.name,
                    storage_path=str(place.parent),
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=1),
                    callbacks=[Relay()],
                ),
            )
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        grid = tuner.fit()
    if grid.num_terminated + grid.num_errors < search.trials:
        return None
    results = [
        TrialResult(
            str(result.metrics["trial_id"]),
            dict(result.config or {}),
            int(result.metrics[UPDATES]),
            {search.metric: float(result.metrics[search.metric])},
        )
        for result in (grid[index] for index in range(len(grid)))
        if result.error is None and result.metrics and search.metric in result.metrics
    ]
    if not results:
        reason = " ".join(str(grid.errors[0]).split())[-300:] if grid.errors else "no training reported anything"
        raise RunFailedError(f"every training of the search failed: {reason}; see that recache train runs alone")
    return results


def _tune_config(search: Search) -> Any:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    scheduler: Any = FIFOScheduler()
    if search.grace is not None:
        scheduler = ASHAScheduler(
            time_attr=UPDATES,
            max_t=search.max_updates,
            grace_period=min(search.grace, search.max_updates),
            reduction_factor=search.reduction,
        )
    return tune.TuneConfig(
        metric=search.metric,
        mode="max",
        num_samples=1 if search.algorithm == "all" else search.trials,
        max_concurrent_trials=search.concurrent or None,
        scheduler=scheduler,
        search_alg=_searcher(search),
        reuse_actors=True,
        trial_dirname_creator=lambda trial: trial.trial_id,
    )


def _searcher(search: Search) -> Any:
    """Optuna's TPE, beginning at the point named first; None for Ray's own random choices."""
    if search.algorithm == "all":
        return None
    first = [dict(search.first)] if search.first else None
    if search.algorithm == "random":
        from ray.tune.search.basic_variant import BasicVariantGenerator

        return BasicVariantGenerator(points_to_evaluate=first, random_state=search.seed)
    try:
        import optuna
        from ray.tune.search.optuna import OptunaSearch
    except ImportError as error:
        raise BadInputError(
            "sweep.search = 'optuna': optuna is not installed; pip install 'recache_ray[tune]', or sweep.search=random"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=search.seed, n_startup_trials=max(3, search.trials // 3))
    return OptunaSearch(
        space=_ray_space(search.space), metric=search.metric, mode="max", points_to_evaluate=first, sampler=sampler
    )


def _ray_space(space: Sequence[Dimension]) -> dict[str, Any]:
    from ray import tune

    made: dict[str, Any] = {}
    for dimension in space:
        match dimension.kind:
            case "uniform":
                made[dimension.name] = tune.uniform(*dimension.values)
            case "loguniform":
                made[dimension.name] = tune.loguniform(*dimension.values)
            case "integer":
                made[dimension.name] = tune.randint(dimension.values[0], dimension.values[1] + 1)
            case "choice":
                made[dimension.name] = tune.choice(list(dimension.values))
            case "grid":
                made[dimension.name] = tune.grid_search(list(dimension.values))
            case other:
                raise ValueError(f"no such dimension: {other}")
    return made
