"""The calibration that configured baselines need: the one in ``run.dir/calibration``, or a new one put there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from recache_ray.baselines.lemica import least_gap
from recache_ray.baselines.offline import Calibration, Need, needs
from recache_ray.baselines.residual_statistics import ResidualStatistics
from recache_ray.build.budgets import evaluation_budgets, learning_budgets
from recache_ray.build.progress import OnProgress, phase_listener
from recache_ray.build.references import fill_references
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.calibration.edges import calibrate_edges
from recache_ray.evaluation.calibration.residuals import calibrate_residuals
from recache_ray.evaluation.calibration.store import Figures, Key, load_calibration, save_calibration
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.types import GenerationRequest, MechanismSpec

_Measure = Callable[[], tuple[Figures, Work]]


def check_calibration(config: Config, names: Iterable[str]) -> None:
    """Refuse what a calibration of these baselines would stumble over, before anything runs.

    Raises:
        BadInputError: if there are too few train prompts, or LeMiCa's edges are too short for a budget.
    """
    needed, section = needs(names), config.evaluation
    if needed and section.calibration_prompts > config.prompts.num_train:
        raise BadInputError(
            f"evaluation.calibration_prompts = {section.calibration_prompts}: must be at most prompts.num_train = "
            f"{config.prompts.num_train}"
        )
    smallest = min(*learning_budgets(config), *evaluation_budgets(config))
    least = least_gap(config.model.num_steps, smallest)
    if Need.EDGES in needed and section.lemica_max_gap < least:
        raise BadInputError(
            f"evaluation.lemica_max_gap = {section.lemica_max_gap}: budget {smallest} of {config.model.num_steps} "
            f"steps needs at least {least}; raise it, or leave lemica out of evaluation.baselines"
        )


def calibration_for(
    config: Config,
    pool: RolloutPool,
    model: Mapping[str, str | int | float],
    mechanism: MechanismSpec,
    names: Iterable[str],
    on_progress: OnProgress,
) -> tuple[Calibration, dict[Need, Work]]:
    """Load what the baselines of these names need, or measure it on the first train prompts; with the work it took.

    Args:
        config: prompts, seed, folders and the settings of calibration.
        pool: an idle pool.
        model: what the workers' model is, from a ``ModelReport``.
        mechanism: what cached steps do.
        names: baselines, those without calibration among them.
        on_progress: told of progress and of what a new calibration cost.

    Raises:
        BadInputError: as :func:`check_calibration`, or if a stored calibration is of something else or damaged.
        RunFailedError: if a generation fails or the folder cannot be written.
    """
    needed = needs(names)
    requests = requests_of(prompt_set(config).train[: config.evaluation.calibration_prompts])
    key = calibration_key(config, model, mechanism, requests)
    folder = Path(config.run.dir) / "calibration"
    progress = phase_listener("calibrate", on_progress)
    works: dict[Need, Work] = {}

    def kept(need: Need, key: Key, measure: _Measure) -> Figures:
        if (stored := load_calibration(folder, need.value, key)) is not None:
            works[need] = stored[1]
            return stored[0]
        fill_references(pool, requests, config.references.requests_per_task, on_progress)
        figures, cost = measure()
        works[need] = cost
        save_calibration(folder, need.value, key, figures, cost)
        on_progress(
            f"calibrated {need.value}: {cost.generations} generations on {len(requests)} train prompts, "
            f"{cost.forwards_executed} transformer forwards"
        )
        return figures

    def residuals() -> tuple[Figures, Work]:
        found, cost = calibrate_residuals(pool, requests, mechanism, on_progress=progress)
        return dict(vars(found)), cost

    def edges() -> tuple[Figures, Work]:
        num_steps, max_gap = config.model.num_steps, config.evaluation.lemica_max_gap
        weights, cost = calibrate_edges(pool, requests, mechanism, num_steps, max_gap, on_progress=progress)
        return {"weights": weights}, cost

    with_gap = {**key, "lemica_max_gap": config.evaluation.lemica_max_gap}
    calibration = Calibration(
        residuals=ResidualStatistics(**kept(Need.RESIDUALS, key, residuals)) if Need.RESIDUALS in needed else None,
        edges=kept(Need.EDGES, with_gap, edges)["weights"] if Need.EDGES in needed else None,
    )
    return calibration, works


def calibration_key(
    config: Config,
    model: Mapping[str, str | int | float],
    mechanism: MechanismSpec,
    requests: Sequence[GenerationRequest],
) -> Key:
    """What determines a calibration. The device is left out: one made on a GPU serves a CPU."""
    asked = json.dumps([[request.prompt.text, request.noise_seed] for request in requests])
    return {
        **{f"model.{name}": value for name, value in model.items() if name != "device"},
        "num_steps": config.model.num_steps,
        "mechanism": mechanism.id,
        "num_prompts": len(requests),
        "prompts_sha256": hashlib.sha256(asked.encode()).hexdigest(),
        "seed": config.run.seed,
    }
