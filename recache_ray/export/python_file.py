"""Python files for libraries without a configuration that holds a schedule: templates with the schedule filled in."""

from __future__ import annotations

import re
from importlib.resources import files

from recache_ray.errors import BadInputError
from recache_ray.export.source import Export, ExportSource

_COMFY_ORDERS = (0, 1)


def diffusers_file(source: ExportSource) -> Export:
    """``diffusers_schedule.py`` with ``enable(pipe)``; needs diffusers alone."""
    if source.mechanism not in ("reuse", "taylor"):
        raise BadInputError(
            f"mechanism = {source.mechanism_id!r}: diffusers forecasts by reuse or Taylor series alone; pass "
            "export.mechanism=taylor1 to run this schedule with another forecast than it was learned for"
        )
    notes = (
        "forecasts the transformer's output, where the schedule was learned on the residual of its blocks: the steps "
        "are exact, the pictures come close",
    )
    name = "diffusers_schedule.py"
    return Export({name: _filled(name, source)}, source.schedule, notes=notes)


def comfyui_file(source: ExportSource) -> Export:
    """``comfyui_schedule.py``, a custom node."""
    if source.mechanism not in ("reuse", "taylor") or source.order not in _COMFY_ORDERS:
        raise BadInputError(
            f"mechanism = {source.mechanism_id!r}: the ComfyUI node reuses or extrapolates a line; pass "
            "export.mechanism=reuse or taylor1"
        )
    notes = ("forecasts the model's output per conditioning; tested against a stand-in of ComfyUI, not in it",)
    name = "comfyui_schedule.py"
    return Export({name: _filled(name, source)}, source.schedule, notes=notes)


def _filled(name: str, source: ExportSource) -> str:
    text = (files("recache_ray.export") / "templates" / name).read_text(encoding="utf-8")
    steps = ", ".join(map(str, source.schedule.compute_steps)) + ("," if source.schedule.budget == 1 else "")
    text = text.replace("TITLE", source.title, 1)
    text = re.sub(r"^NUM_STEPS = 1$", f"NUM_STEPS = {source.schedule.num_steps}", text, count=1, flags=re.MULTILINE)
    text = text.replace("(0,)", f"({steps})", 1)
    return re.sub(r"^ORDER = 0$", f"ORDER = {source.order}", text, count=1, flags=re.MULTILINE)
