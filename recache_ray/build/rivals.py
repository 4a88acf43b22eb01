"""What known methods say before anything is measured, so that a search never ends behind what was known."""

from __future__ import annotations

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN
from recache_ray.baselines.offline import predicted_cost, reached_budgets
from recache_ray.baselines.registry import baseline_schedules, check_baselines
from recache_ray.build.budgets import learning_budgets
from recache_ray.build.calibration import calibration_for, check_calibration
from recache_ray.build.mechanism import mechanism_spec, unfit
from recache_ray.build.progress import OnProgress
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.learning.prior import Prior
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import MechanismSpec, ModelReport


def check_rivals(config: Config) -> tuple[str, ...]:
    """The names in ``learning.rivals``.

    Raises:
        BadInputError: if one is unknown, decides during the generation, reaches no budget or cannot be calibrated.
    """
    names = check_baselines(config.learning.rivals, setting="learning.rivals")
    for name in names:
        if name in (*ADAPTIVE, *FROZEN, "random"):
            raise BadInputError(
                f"learning.rivals: {name!r} has no schedule of its own before it has run; name a fixed baseline "
                "such as uniform_warm, dpcache or lemica"
            )
        reached_budgets(name, config.model.num_steps, learning_budgets(config))
    check_calibration(config, names)
    return names


def searched_rivals(config: Config) -> tuple[str, ...]:
    """The names in ``learning.rivals`` that a polish is told of: none without one, none the mechanism rules out."""
    if not config.learning.polish_evaluations:
        return ()
    ruled_out = unfit(mechanism_spec(config), config.learning.rivals)
    return tuple(name for name in config.learning.rivals if name not in ruled_out)


def search_prior(
    config: Config, pool: RolloutPool, mechanism: MechanismSpec, model: ModelReport, on_progress: OnProgress
) -> Prior:
    """The distinct schedules of ``learning.rivals`` per budget; a preset misses the budgets it does not reach.

    Where one of them is calibrated on the residuals of uncached generations, these predict the cost of every schedule
    too, as DPCache adds it up.

    Raises:
        BadInputError: as :func:`check_rivals`, or if a stored calibration is of something else.
        RunFailedError: if a calibration generation fails.
    """
    check_rivals(config)
    names = searched_rivals(config)
    if not names:
        return Prior()
    if ruled_out := unfit(mechanism, config.learning.rivals):
        on_progress(f"learning.rivals: {', '.join(ruled_out)} do not fit mechanism {mechanism.id} and are left out")
    num_steps, budgets = config.model.num_steps, learning_budgets(config)
    calibration, _ = calibration_for(config, pool, model.model, mechanism, names, on_progress)
    found: dict[int, dict[Schedule, None]] = {budget: {} for budget in budgets}
    for name in names:
        for budget in reached_budgets(name, num_steps, budgets):
            found[budget] |= dict.fromkeys(baseline_schedules(name, num_steps, budget, calibration=calibration))
    return Prior({budget: tuple(schedules) for budget, schedules in found.items()}, predicted_cost(calibration))
