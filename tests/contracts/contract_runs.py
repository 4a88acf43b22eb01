"""Runs of a tiny model through its adapter, watched from outside the caching code."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.diffusion.adapter import Generation
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import NUM_STEPS as T
from recache_ray.testing.tiny.adapters import tiny_model

PROMPT = "a large red circle on the left"
SEED = 3
TOLERANCE = 1e-5
"""Of latents, in their standard deviations: the rounding of float32 products depends on the batch size."""


@dataclass(frozen=True)
class Model:
    """An adapter and the embeddings of one prompt."""

    adapter: PipelineAdapter
    embeddings: Mapping[str, Tensor]

    @property
    def pipeline(self) -> Any:
        return self.adapter.pipeline

    @property
    def calls(self) -> int:
        """Transformer calls per step."""
        return self.adapter.spec.forwards_per_step

    @property
    def rows(self) -> int:
        """Batch rows of one sibling in one transformer call."""
        return self.adapter.spec.evaluations_per_step // self.calls

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer's blocks, from its family alone."""
        return tuple(self.adapter.family.stack.blocks(self.pipeline.transformer))


@dataclass(frozen=True)
class Run:
    """What a generation made: the latents after every step and the samples."""

    latents: tuple[Tensor, ...]
    generation: Generation


def make(kind: str, seed: int = 0, **changes: Any) -> Model:
    """A model of its own, for tests that change it."""
    adapter = tiny_model(kind, seed, **changes)
    return Model(adapter, adapter.encode(PROMPT))


@contextmanager
def each_step(pipeline: Any, after: Callable[[Tensor], None]) -> Iterator[None]:
    """Call ``after`` with the latents that the solver makes of each step."""
    scheduler = pipeline.scheduler
    step, watched_already = scheduler.step, "step" in vars(scheduler)

    @wraps(step)  # pipelines ask its signature which arguments it takes
    def watched(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        after(result[0])
        return result

    scheduler.step = watched
    try:
        yield
    finally:
        if watched_already:
            scheduler.step = step
        else:
            del scheduler.step


def run(model: Model, schedules: Sequence[Schedule], mechanism: CachingMechanism | None = None) -> Run:
    """Generate through the adapter."""
    latents: list[Tensor] = []
    with each_step(model.pipeline, lambda made: latents.append(made.detach().clone())):
        generation = model.adapter.run(model.embeddings, SEED, schedules, mechanism)
    return Run(tuple(latents), generation)


def identical(left: Run, right: Run) -> bool:
    """Whether two runs are equal, bit for bit, after every step and in the samples."""
    return (
        len(left.latents) == len(right.latents)
        and all(torch.equal(a, b) for a, b in zip(left.latents, right.latents, strict=True))
        and np.array_equal(left.generation.images, right.generation.images)
    )


def distance(left: Tensor, right: Tensor) -> float:
    """Largest difference in standard deviations of ``right``."""
    return float((left - right).abs().max() / right.std())


def random_schedules(count: int, seed: int) -> list[Schedule]:
    """Different schedules, none of them full."""
    draw = random.Random(seed)
    found: dict[Schedule, None] = {}
    while len(found) < count:
        steps = draw.sample(range(1, T), draw.randint(0, T - 2))
        found[Schedule.from_steps(T, {0, *steps})] = None
    return list(found)


class BlockRows:
    """Counts the batch rows that run through every block in every transformer call.

    It listens at the blocks' self-attention, which a bypassed block never reaches.
    """

    def __init__(self, model: Model) -> None:
        self._transformer = model.pipeline.transformer
        self._attentions = [getattr(block, "attn", None) or block.attn1 for block in model.blocks]
        self.calls: list[list[int]] = []

    def __enter__(self) -> BlockRows:
        self._handles = [self._transformer.register_forward_pre_hook(self._begin)]
        self._handles += [
            attention.register_forward_pre_hook(self._count(index), with_kwargs=True)
            for index, attention in enumerate(self._attentions)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _begin(self, module: nn.Module, args: Any) -> None:
        self.calls.append([0] * len(self._attentions))

    def _count(self, index: int) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            tokens = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
            self.calls[-1][index] += tokens.shape[0]

        return hook
