"""The verb ``bench step``: seconds and FLOPs of a computed and a cached step on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from recache_ray.build.adapter import make_adapter
from recache_ray.build.measured_cost import write_measured_cost
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.root import Config
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.errors import BadInputError
from recache_ray.schedules import budget_unit, split_budgets
from recache_ray.tracking.provenance import provenance

_PROMPT = "a photograph"
_REPEATS = 3


def bench_step(config: Config) -> str:
    """Measure one sibling's step, write ``run.dir/step_cost.json`` and return it as text.

    Raises:
        BadInputError: if the model cannot be used, or ``run.dir`` holds a run whose budgets are times, which other
            measurements would change.
    """
    folder = Path(config.run.dir)
    timed = any(budget_unit(part) == "seconds" for part in split_budgets(config.learning.budgets))
    if timed and (folder / "config.json").exists():
        raise BadInputError(
            f"run.dir = {config.run.dir!r}: holds a run whose budgets are times ({config.learning.budgets}); measuring "
            "again would change them, choose another run.dir"
        )
    import torch

    torch.set_num_threads(config.runtime.threads_per_worker)
    adapter = make_adapter(config)
    embeddings = adapter.encode(_PROMPT)
    adapter.release_text_encoders()
    mechanism = mechanism_spec(config)
    cost = measure_step_cost(adapter, embeddings, build_mechanism(mechanism), repeats=_REPEATS)
    facts = provenance(config.run.seed)
    path = write_measured_cost(folder, asdict(adapter.spec), mechanism, cost, facts)
    spec = adapter.spec
    return (
        f"{spec.id} {spec.width}x{spec.height}, T = {spec.num_steps}, {mechanism.id}, {spec.dtype} on {spec.device} "
        f"({facts.get('gpu', facts['cpu'])}, {config.runtime.threads_per_worker} threads)\n"
        f"computed step  {1000 * cost.computed_s:.2f} ms  {cost.computed_flops / 1e9:.3f} GFLOPs\n"
        f"cached step    {1000 * cost.cached_s:.2f} ms  {cost.cached_flops / 1e9:.3f} GFLOPs  "
        f"({100 * cost.cached_share:.1f}% of the time)\n"
        f"wrote {path}"
    )
