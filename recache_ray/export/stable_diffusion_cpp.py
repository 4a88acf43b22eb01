"""Flags of stable-diffusion.cpp, whose cache-dit mode takes a mask (docs/caching.md of that project)."""

from __future__ import annotations

from recache_ray.export.cache_dit import calibrator
from recache_ray.export.source import Export, ExportSource


def stable_diffusion_cpp(source: ExportSource) -> Export:
    """Arguments to append to ``sd-cli``, in a text file."""
    order = calibrator(source, "stable-diffusion.cpp")
    mask = ",".join(map(str, source.mask))
    flags = f'--steps {source.schedule.num_steps} --cache-mode cache-dit --scm-mask "{mask}" --scm-policy static'
    notes = ["by its documentation and source; not run here"]
    if order:
        notes.append("its cached steps reuse; a schedule learned with a forecast is used with another mechanism")
    return Export({"sd_cpp_flags.txt": flags + "\n"}, source.schedule, notes=tuple(notes))
