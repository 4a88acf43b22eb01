"""The verb ``bench step``: seconds and FLOPs of a computed and a cached step on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from recache_ray.build.adapter import make_adapter
from recache_ray.build.architecture import configured_architecture, model_name
from recache_ray.build.measured_cost import write_measured_cost
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.root import Config
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.diffusion.memory import GIB
from recache_ray.errors import BadInputError
from recache_ray.schedules import budget_unit, split_budgets
from recache_ray.tracking.provenance import provenance

if TYPE_CHECKING:
    from torch import Tensor

    from recache_ray.diffusion.pipeline_adapter import PipelineAdapter

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
    adapter, embeddings = _model(config)
    mechanism = mechanism_spec(config)
    cost = measure_step_cost(adapter, embeddings, build_mechanism(mechanism), repeats=_REPEATS)
    facts = provenance(config.run.seed)
    spec = adapter.spec
    path = write_measured_cost(folder, asdict(spec), mechanism, cost, facts)
    memory = (
        f"memory         {torch.cuda.max_memory_allocated() / GIB:.2f} GiB at most\n" if spec.device == "cuda" else ""
    )
    return (
        f"{spec.id} {spec.width}x{spec.height}, T = {spec.num_steps}, {mechanism.id}, {spec.dtype} on {spec.device}"
        f"{', random weights' if config.bench.random_weights else ''} "
        f"({facts.get('gpu', facts['cpu'])}, {config.runtime.threads_per_worker} threads)\n"
        f"computed step  {1000 * cost.computed_s:.2f} ms  {cost.computed_flops / 1e9:.3f} GFLOPs  "
        f"({cost.computed_flops / cost.computed_s / 1e12:.3g} TFLOP/s)\n"
        f"cached step    {1000 * cost.cached_s:.2f} ms  {cost.cached_flops / 1e9:.3f} GFLOPs  "
        f"({100 * cost.cached_share:.1f}% of the time)\n"
        f"{memory}wrote {path}"
    )


def _model(config: Config) -> tuple[PipelineAdapter, Mapping[str, Tensor]]:
    """The model without its text encoders, and a prompt."""
    if config.bench.random_weights:
        from recache_ray.diffusion.random_weights import random_adapter, random_embeddings

        model = configured_architecture(config)
        adapter = random_adapter(config.model, model, model_name(config.model))
        return adapter, random_embeddings(config.model, model)
    adapter = make_adapter(config)
    embeddings = adapter.encode(_PROMPT)
    adapter.release_text_encoders()
    return adapter, embeddings
