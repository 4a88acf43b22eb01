"""SGLang Diffusion, which runs cache-dit: environment of its native backend, or parameters of single requests.

The diffusers backend takes the YAML of :mod:`~recache_ray.export.cache_dit` through ``--cache-dit-config``.
"""

from __future__ import annotations

import json
from itertools import groupby

from recache_ray.errors import BadInputError
from recache_ray.export.cache_dit import calibrator, notes_of
from recache_ray.export.source import Export, ExportSource, export_source
from recache_ray.schedules import Schedule

_PREFIX = "SGLANG_CACHE_DIT"


def run_lengths(schedule: Schedule) -> tuple[list[int], list[int]]:
    """Alternating runs of computed and cached steps; the first run is computed.

    Raises:
        BadInputError: if no step is cached: the format has no way to say so.
    """
    runs = [(compute, len(list(group))) for compute, group in groupby(schedule.compute_mask)]
    computed = [length for compute, length in runs if compute]
    cached = [length for compute, length in runs if not compute]
    if not cached:
        raise BadInputError(
            f"budget = {schedule.budget} of {schedule.num_steps}: SGLang's run lengths cannot say that nothing is "
            "cached; switch caching off instead"
        )
    return computed, cached


def sglang_environment(source: ExportSource) -> Export:
    """Variables for the native backend: one server, one T, one budget."""
    order = calibrator(source, "SGLang Diffusion")
    computed, cached = run_lengths(source.schedule)
    variables = {
        "ENABLED": "true",
        "FN": "1",
        "BN": "0",
        "SCM_COMPUTE_BINS": ",".join(map(str, computed)),
        "SCM_CACHE_BINS": ",".join(map(str, cached)),
        "SCM_POLICY": "static",
        "TAYLORSEER": "true" if order else "false",
    }
    if order:
        variables["TS_ORDER"] = str(order)
    lines = [f"# {source.title}", *(f"{_PREFIX}_{name}={value}" for name, value in variables.items())]
    notes = (
        f"leave {_PREFIX}_SCM_PRESET unset: later requests take a preset's name for the policy and compute every step",
        f"every request must ask for {source.schedule.num_steps} steps: with another number the mask is used as it is",
        *notes_of(source),
    )
    return Export({"sglang.env": "\n".join(lines) + "\n"}, source.schedule, notes=notes)


def sglang_requests(source: ExportSource) -> Export:
    """``cache_dit_params`` of single requests, one per budget of the table: a server that serves every budget."""
    table, parameters = source.table, {}
    for budget in table.budgets:
        if budget < table.num_steps:
            parameters[str(budget)] = _request(export_source(table, budget, source.mechanism_id))
    document = {
        "num_inference_steps": table.num_steps,
        "enable_cache_dit": True,
        "cache_dit_params_by_budget": parameters,
    }
    notes = ("needs an SGLang that reads cache_dit_params per request (sgl-project/sglang #40104)", *notes_of(source))
    return Export({"sglang_requests.json": json.dumps(document, indent=2) + "\n"}, source.schedule, notes=notes)


def _request(source: ExportSource) -> dict[str, object]:
    order = calibrator(source, "SGLang Diffusion")
    computed, cached = run_lengths(source.schedule)
    forecast: dict[str, object] = {"enable_taylorseer": True, "taylorseer_order": order} if order else {}
    return {
        "Fn_compute_blocks": 1,
        "Bn_compute_blocks": 0,
        "scm_compute_bins": computed,
        "scm_cache_bins": cached,
        "scm_policy": "static",
        **forecast,
    }
