"""Under ``torch.compile``: how often the graph breaks, and that it is traced for two kinds of step, not for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor, fx

from recache_ray.diffusion.production import cached
from recache_ray.testing.tiny_flux import TEXT_TOKENS, tiny_flux_pipeline

pytestmark = pytest.mark.usefixtures("fresh_compiler")

CACHE_DIT_BREAKS = 5
"""Of cache-dit 1.5.3 with a static mask on such a transformer, by ``torch._dynamo.explain``."""

PLAN = schedule(0, 2, 5)
OTHER = schedule(0, 1, 3, 4)


class CountingBackend:
    """Runs graphs as they are and counts how many were traced and, since the last call of the model, run."""

    def __init__(self) -> None:
        self.traced = 0
        self.run = 0

    def __call__(self, graph: fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        self.traced += 1

        def counted(*args: Any) -> Any:
            self.run += 1
            return graph.forward(*args)

        return counted


def test_graph_breaks_are_few_and_nothing_is_traced_again() -> None:
    pipe, backend = tiny_flux_pipeline(seed=0), CountingBackend()
    with torch.no_grad():
        tokens, pooled, _ = pipe.encode_prompt("a red star", max_sequence_length=TEXT_TOKENS)
    embeds = {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}
    eager = {}
    for plan in (PLAN, OTHER):
        with cached(pipe, plan):
            eager[plan] = latents(pipe, embeds)
    runs: list[int] = []

    def after_step(pipeline: Any, index: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        runs.append(backend.run)
        backend.run = 0
        return tensors

    pipe.transformer = torch.compile(pipe.transformer, backend=backend)
    with cached(pipe, PLAN):
        latents(pipe, embeds)
        traced = backend.traced
        backend.run = 0
        compiled = latents(pipe, embeds, callback_on_step_end=after_step)
        assert torch.allclose(compiled, eager[PLAN], atol=1e-5)
        assert backend.traced == traced
    assert len(runs) == NUM_STEPS and all(1 <= graphs <= CACHE_DIT_BREAKS for graphs in runs)
    with cached(pipe, OTHER):
        assert torch.allclose(latents(pipe, embeds), eager[OTHER], atol=1e-5)
