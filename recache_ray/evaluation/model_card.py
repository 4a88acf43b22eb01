"""The README of a shared policy, filled from what its run measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from huggingface_hub import ModelCardData

from recache_ray.evaluation.frontier import FrontierRow
from recache_ray.evaluation.table import compare
from recache_ray.schedules import ScheduleTable

MAP_FILE = "schedule_map.png"
TABLE_FILE = "schedules.json"

_BELONGS = (
    "revision", "pipeline_class", "scheduler", "guidance_mode", "guidance", "width", "height", "frames", "dtype",
)  # fmt: skip


def model_card(table: ScheduleTable, rows: Sequence[FrontierRow]) -> str:
    """The card as Markdown with its metadata.

    Args:
        table: schedules, with model, mechanism and provenance.
        rows: of the run's evaluation on held-out prompts; without any, the figures of the validation prompts are shown
            and named so.
    """
    model = str(table.model.get("id", "unknown model"))
    few, many = table.budgets[0], table.budgets[-1]
    middle = table.budgets[len(table.budgets) // 2]
    return f"""---
{_metadata(table)}
---

# Caching schedules for {model}

For every budget from {few} to {many} of T = {table.num_steps} denoising steps: which steps to compute. The others are
predicted from the cache by `{table.mechanism.get("id", "taylor1")}`.

![computed steps of every budget]({MAP_FILE})

## Results

{_results(table, rows)}

## Use

```python
import recache_ray as recache
from huggingface_hub import hf_hub_download

table = recache.ScheduleTable.load(hf_hub_download("USER/NAME", "{TABLE_FILE}"))
with recache.cached(pipe, table, budget={middle}):  # or "x4", "20%"
    image = pipe("a prompt", num_inference_steps={table.num_steps}).images[0]
```

`recache.BudgetPolicy.from_pretrained("USER/NAME")` loads the policy itself, to train it further or to carry it to
another T. A server that does not know recache_ray takes an export: `recache export to=cache-dit budget={middle}`.

## What it belongs to

{_list({"model": model, **{name: table.model[name] for name in _BELONGS if name in table.model}})}

Another class of pipeline and another number of steps are refused. Other weights of the same class, a LoRA or another
resolution run, and their quality is not what was measured here.

## Where it comes from

{_list(table.provenance)}
"""


def _metadata(table: ScheduleTable) -> str:
    model = str(table.model.get("id", ""))
    frames = table.model.get("frames", 1)
    data = ModelCardData(
        license="apache-2.0",
        library_name="recache_ray",
        pipeline_tag="text-to-image" if frames == 1 else "text-to-video",
        base_model=model if re.fullmatch(r"[\w.-]+/[\w.-]+", model) else None,
        tags=["diffusion", "caching", "acceleration"],
    )
    return str(data.to_yaml())


def _results(table: ScheduleTable, rows: Sequence[FrontierRow]) -> str:
    pairs = compare(rows)
    if pairs:
        lines = [
            f"LPIPS to the uncached result on {pairs[0].policy.num_samples} held-out generations, lower is better; the "
            "best of three evenly spaced schedules, chosen on the same generations, beside it.",
            "",
            "| budget | FLOPs | LPIPS | 95% interval | evenly spaced |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {ours.budget} | ÷{ours.flops_ratio:.2f} | {ours.lpips:.4f} | {ours.lpips_ci_low:.4f} to "
            f"{ours.lpips_ci_high:.4f} | {pair.uniform.lpips:.4f} |"
            for pair in pairs
            for ours in (pair.policy,)
        ]
        return "\n".join(lines)
    measured = {k: figures for k, figures in sorted(table.metrics.items()) if "lpips" in figures}
    if not measured:
        return "Nothing was measured in this run."
    lines = [
        "LPIPS to the uncached result on the validation prompts, which chose the schedules: expect more on others.",
        "",
        "| budget | LPIPS |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {k} | {figures['lpips']:.4f} |" for k, figures in measured.items())])


def _list(values: Mapping[str, object]) -> str:
    return "\n".join(f"* {name}: {value}" for name, value in values.items()) or "* unknown"
