"""JSON for everything else: the bare steps, and the form SmoothCache's loaders take (arXiv 2411.10510)."""

from __future__ import annotations

import json

from recache_ray.export.source import Export, ExportSource

_COMPONENTS = ("attn1", "attn2", "ff")


def plain_json(source: ExportSource) -> Export:
    """Steps and mask of one budget."""
    document = {
        "model": source.model,
        "pipeline_class": source.pipeline_class,
        "num_steps": source.schedule.num_steps,
        "budget": source.schedule.budget,
        "mechanism": source.mechanism_id,
        "separate_cfg": source.separate_cfg,
        "steps": list(source.schedule.compute_steps),
        "mask": source.mask,
    }
    return Export({"schedule.json": json.dumps(document) + "\n"}, source.schedule)


def smoothcache_json(source: ExportSource) -> Export:
    """A list of 0 and 1 per component, the same for all."""
    text = json.dumps(dict.fromkeys(_COMPONENTS, source.mask)) + "\n"
    notes = ("SmoothCache reuses module outputs: another cut and mechanism than the one learned with",)
    return Export({"smoothcache.json": text}, source.schedule, notes=notes)
