"""cache-dit (1.2.0 and later): a YAML file for ``load_configs``, and the same as Python.

Its decision, read in ``cache_manager.py::can_cache`` of 1.5.3: under the policy ``static`` a step is computed where the
mask is 1 and cached everywhere else, whatever the thresholds say. The first block always runs, since Fn >= 1.
"""

from __future__ import annotations

from recache_ray.errors import BadInputError
from recache_ray.export.source import Export, ExportSource

LEAST_VERSION = "1.2.0"
_APPROXIMATE = (
    "cache-dit forecasts by its own TaylorSeer, which starts later than the paper's; the steps are exact, the pictures "
    "come close"
)


def calibrator(source: ExportSource, target: str = "cache-dit") -> int:
    """Order of the TaylorSeer to switch on; 0 for plain reuse.

    Raises:
        BadInputError: if the target has no such forecast.
    """
    if source.mechanism == "reuse":
        return 0
    if source.mechanism == "taylor":
        return source.order
    raise BadInputError(
        f"mechanism = {source.mechanism_id!r}: {target} forecasts by reuse or Taylor series alone; pass "
        "export.mechanism=taylor1 to run this schedule with another forecast than it was learned for"
    )


def notes_of(source: ExportSource) -> tuple[str, ...]:
    """What holds for every server that runs cache-dit."""
    first = (f"a cached step still runs the first block of every block list; cache-dit {LEAST_VERSION} or newer",)
    return (*first, _APPROXIMATE) if source.order else first


def cache_dit_yaml(source: ExportSource) -> Export:
    """``cache_dit.enable_cache(pipe, **cache_dit.load_configs(FILE))``."""
    order = calibrator(source)
    lines = [
        f"# {source.title}",
        f"# call the pipeline with num_inference_steps={source.schedule.num_steps}",
        "cache_config:",
        f"  num_inference_steps: {source.schedule.num_steps}",
        f"  steps_computation_mask: [{', '.join(map(str, source.mask))}]",
        "  steps_computation_policy: static",
        "  Fn_compute_blocks: 1",
        "  Bn_compute_blocks: 0",
        f"  enable_separate_cfg: {str(source.separate_cfg).lower()}",
    ]
    if order:
        lines += ["  enable_taylorseer: true", "  enable_encoder_taylorseer: true", f"  taylorseer_order: {order}"]
    return Export({"cache_dit.yaml": "\n".join(lines) + "\n"}, source.schedule, notes=notes_of(source))


def cache_dit_python(source: ExportSource) -> Export:
    """A module with ``enable(pipe)``."""
    order = calibrator(source)
    forecast = (
        f"TaylorSeerCalibratorConfig(enable_encoder_calibrator=True, taylorseer_order={order})" if order else "None"
    )
    imports = "DBCacheConfig, TaylorSeerCalibratorConfig" if order else "DBCacheConfig"
    text = f'''"""{source.title}. Needs cache-dit >= {LEAST_VERSION}."""

import cache_dit
from cache_dit import {imports}

NUM_STEPS = {source.schedule.num_steps}


def enable(pipe):
    """Cache every following call of ``pipe``, which must be made with ``num_inference_steps=NUM_STEPS``."""
    return cache_dit.enable_cache(
        pipe,
        cache_config=DBCacheConfig(
            num_inference_steps=NUM_STEPS,
            steps_computation_mask={source.mask},
            steps_computation_policy="static",
            Fn_compute_blocks=1,
            Bn_compute_blocks=0,
            enable_separate_cfg={source.separate_cfg},
        ),
        calibrator_config={forecast},
    )
'''
    return Export({"cache_dit_schedule.py": text}, source.schedule, notes=notes_of(source))
