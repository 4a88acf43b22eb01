"""Servers that take no mask, only presets or an interval: the nearest there is, with how far off it is."""

from __future__ import annotations

import json

from recache_ray.baselines.cache_dit import cache_dit_presets
from recache_ray.errors import BadInputError
from recache_ray.export.cache_dit import calibrator
from recache_ray.export.source import Export, ExportSource
from recache_ray.schedules import Schedule


def nearest_preset(schedule: Schedule) -> tuple[str, Schedule]:
    """The preset of cache-dit of nearest budget, then of most steps in common; ties to the slower.

    Raises:
        BadInputError: if there are no presets for this T.
    """
    presets = cache_dit_presets(schedule.num_steps)
    return min(presets.items(), key=lambda item: (abs(item[1].budget - schedule.budget), -_shared(item[1], schedule)))


def vllm_omni(source: ExportSource) -> Export:
    """``--cache-backend cache_dit --cache-config`` of vLLM-Omni."""
    name, preset = nearest_preset(source.schedule)
    config: dict[str, object] = {
        "Fn_compute_blocks": 1,
        "Bn_compute_blocks": 0,
        "num_inference_steps": source.schedule.num_steps,
        "scm_steps_mask_policy": name,
        "scm_steps_policy": "static",
    }
    if order := calibrator(source, "vLLM-Omni"):
        config |= {"enable_taylorseer": True, "taylorseer_order": order}
    note = f"vLLM-Omni drops an explicit mask without a word; preset {name!r} {_distance(preset, source.schedule)}"
    return Export({"vllm_omni.json": json.dumps(config, indent=2) + "\n"}, preset, preset == source.schedule, (note,))


def tensorrt_llm(source: ExportSource) -> Export:
    """``cache_config`` of TensorRT-LLM's VisualGen."""
    if source.schedule.num_steps < 8:
        raise BadInputError(f"num_steps = {source.schedule.num_steps}: TensorRT-LLM's presets start at 8 steps")
    name, preset = nearest_preset(source.schedule)
    calibrator(source, "TensorRT-LLM")
    lines = [
        "cache_config:",
        "  cache_backend: cache_dit",
        f"  scm_steps_mask_policy: {name}",
        "  scm_steps_policy: static",
    ]
    note = f"TensorRT-LLM takes presets alone; {name!r} {_distance(preset, source.schedule)}"
    return Export({"tensorrt_llm.yaml": "\n".join(lines) + "\n"}, preset, preset == source.schedule, (note,))


def openvino(source: ExportSource) -> Export:
    """``TaylorSeerCacheConfig`` of OpenVINO GenAI: the first steps, then one in every ``cache_interval``."""
    best = min(
        (
            (abs(steps.budget - source.schedule.budget), -_shared(steps, source.schedule), before, interval)
            for before in range(1, source.schedule.num_steps)
            for interval in range(2, source.schedule.num_steps + 1)
            if (steps := interval_steps(source.schedule.num_steps, before, interval)) is not None
        ),
    )
    before, interval = best[2:]
    steps = interval_steps(source.schedule.num_steps, before, interval)
    config = {"cache_interval": interval, "disable_cache_before_step": before}
    note = f"OpenVINO GenAI takes an interval alone; this one {_distance(steps, source.schedule)}"
    return Export({"openvino.json": json.dumps(config) + "\n"}, steps, steps == source.schedule, (note,))


def interval_steps(num_steps: int, before: int, interval: int) -> Schedule:
    """The steps that diffusers' TaylorSeer rule computes: 0..b-1, then b+1, b+1+interval, ..."""
    return Schedule.from_steps(num_steps, (*range(before), *range(before + 1, num_steps, interval)))


def _shared(one: Schedule, other: Schedule) -> int:
    return len(set(one.compute_steps) & set(other.compute_steps))


def _distance(runs: Schedule, wanted: Schedule) -> str:
    return (
        f"computes {runs.budget} steps in place of {wanted.budget}, {_shared(runs, wanted)} of them the same "
        f"({', '.join(map(str, runs.compute_steps))})"
    )
