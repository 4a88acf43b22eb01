"""Export targets by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recache_ray.errors import BadInputError
from recache_ray.export.cache_dit import cache_dit_python, cache_dit_yaml
from recache_ray.export.plain import plain_json, smoothcache_json
from recache_ray.export.presets import openvino, tensorrt_llm, vllm_omni
from recache_ray.export.python_file import comfyui_file, diffusers_file
from recache_ray.export.sglang import sglang_environment, sglang_requests
from recache_ray.export.source import Export, ExportSource, export_source
from recache_ray.export.stable_diffusion_cpp import stable_diffusion_cpp
from recache_ray.schedules import ScheduleTable


@dataclass(frozen=True, slots=True)
class Target:
    """One format: what it is, how to make it, and the command or line that uses the file."""

    summary: str
    make: Callable[[ExportSource], Export]
    use: str


TARGETS: Mapping[str, Target] = {
    "cache-dit": Target(
        "cache-dit YAML, also for SGLang's diffusers backend",
        cache_dit_yaml,
        'cache_dit.enable_cache(pipe, **cache_dit.load_configs("FILE"))',
    ),
    "cache-dit-python": Target("cache-dit as a Python module", cache_dit_python, "cache_dit_schedule.enable(pipe)"),
    "sglang": Target(
        "environment of SGLang Diffusion's native backend", sglang_environment, "set -a; . FILE; sglang serve ..."
    ),
    "sglang-requests": Target(
        "parameters of SGLang requests, every budget of the table",
        sglang_requests,
        "send cache_dit_params_by_budget[k] with the request",
    ),
    "stable-diffusion.cpp": Target("flags of stable-diffusion.cpp", stable_diffusion_cpp, "sd-cli ... $(cat FILE)"),
    "diffusers": Target("a Python module, needs diffusers alone", diffusers_file, "diffusers_schedule.enable(pipe)"),
    "comfyui": Target("a ComfyUI custom node", comfyui_file, "copy FILE into ComfyUI/custom_nodes"),
    "json": Target("steps and mask", plain_json, "read steps or mask"),
    "smoothcache": Target("SmoothCache-style JSON", smoothcache_json, "load as the schedule of SmoothCache"),
    "vllm-omni": Target("nearest preset of vLLM-Omni", vllm_omni, '--cache-config "$(cat FILE)"'),
    "tensorrt-llm": Target("nearest preset of TensorRT-LLM VisualGen", tensorrt_llm, "merge into the VisualGen config"),
    "openvino": Target("nearest interval of OpenVINO GenAI", openvino, "TaylorSeerCacheConfig(**json)"),
}


def check_target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        BadInputError: if there is none, with the nearest.
    """
    if name not in TARGETS:
        close = difflib.get_close_matches(name, TARGETS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(TARGETS)}"
        raise BadInputError(f"export.to = {name!r}: unknown target; {hint}")
    return TARGETS[name]


def export_schedule(table: ScheduleTable, budget: int | str, to: str, mechanism: str = "") -> Export:
    """The schedule of a budget in the format of a server, as texts to write; nothing is written here.

    Args:
        table: of a run, or of your own with ``pipeline_class`` and ``forwards_per_step`` in ``model``.
        budget: in any form the table takes.
        to: one of :data:`TARGETS`.
        mechanism: id in place of the one the table was learned with, for example ``reuse``.

    Raises:
        BadInputError: if the target is unknown or cannot hold the schedule, the table lacks the budget or does not say
            how guidance runs.

    Example: ``export_schedule(table, "x4", to="cache-dit").files["cache_dit.yaml"]``
    """
    return check_target(to).make(export_source(table, budget, mechanism))
