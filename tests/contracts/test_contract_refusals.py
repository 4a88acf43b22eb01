"""What an adapter refuses, whatever the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from contract_runs import SEED, Model, T, make, run
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.adapter import BlankGenerationError, NonFiniteGenerationError
from recache_ray.diffusion.families import family_of
from recache_ray.diffusion.guidance import GuidanceMode
from recache_ray.errors import BadInputError
from recache_ray.references.store import ReferenceStore
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import TINY, tiny_model, tiny_pipeline, tiny_section

FULL = [Schedule.full(T)]


class NanForecast(Reuse):
    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        return super().predict(history, step) * float("nan")


def test_another_number_of_steps_than_the_schedule_s(model: Model) -> None:
    with pytest.raises(BadInputError, match=rf"num_steps = {T + 1}: the model runs model\.num_steps = {T}"):
        model.adapter.run(model.embeddings, SEED, [Schedule(T + 1, (0, 2))], TaylorSeer(1))


def test_nan_in_a_cached_step(model: Model) -> None:
    with pytest.raises(NonFiniteGenerationError, match="generation is not finite: noise seed 3, schedule 101000"):
        model.adapter.run(model.embeddings, SEED, [Schedule(T, (0, 2))], NanForecast())


def test_a_blank_reference(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = model.pipeline.vae.decode

    def black(*args: Any, **kwargs: Any) -> Any:
        return (torch.full_like(decode(*args, **{**kwargs, "return_dict": False})[0], -1.0),)

    monkeypatch.setattr(model.pipeline.vae, "decode", black)
    if model.adapter.spec.pipeline_class == "CogVideoXPipeline":
        monkeypatch.setattr(model.pipeline, "decode_latents", lambda latents: black(latents.permute(0, 2, 1, 3, 4))[0])
    with pytest.raises(BlankGenerationError, match="uncached generation is blank, every frame of it one colour"):
        model.adapter.run(model.embeddings, SEED, FULL)
    cached = model.adapter.run(model.embeddings, SEED, [Schedule(T, (0, 2))], TaylorSeer(1))
    assert not cached.images.any()  # the reward judges what caching spoils


def test_sizes_that_the_pipeline_would_change(kind: str) -> None:
    pipeline = tiny_pipeline(kind)
    with pytest.raises(BadInputError, match=r"model\.width = 33: must be a multiple of \d+ pixels"):
        tiny_model(kind, pipeline=pipeline, width=33)
    if family_of(kind).is_video:
        wanted = r"model\.frames = 6: must be 1 more than a multiple of \d+"
    else:
        wanted = r"model\.frames = 6: .* makes images; set 1"
    with pytest.raises(BadInputError, match=wanted):
        tiny_model(kind, pipeline=pipeline, frames=6)
    with pytest.raises(BadInputError, match=r"model\.max_text_tokens = 9999: must be at most"):
        tiny_model(kind, pipeline=pipeline, max_text_tokens=9999)


def test_guidance_that_changes_the_number_of_forwards(kind: str, device: str) -> None:
    """Off, on, and changed behind the adapter's back."""
    guided, plain = make(kind, device=device), make(kind, guidance_scale=1.0, device=device)
    embedded = family_of(kind).guidance_mode is GuidanceMode.EMBEDDED
    assert guided.adapter.spec.evaluations_per_step == (1 if embedded else 2)
    assert plain.adapter.spec.evaluations_per_step == 1
    assert run(plain, FULL).generation.forwards_executed == T
    assert (guided.embeddings.keys() == plain.embeddings.keys()) == embedded
    if guided.calls == 2:
        plain.adapter.spec = guided.adapter.spec  # type: ignore[misc]
        with pytest.raises(
            BadInputError, match=f"called its transformer {2 * T} times, {T} steps of guidance mode none"
        ):
            plain.adapter.run(guided.embeddings, SEED, FULL)


def test_references_of_another_size_guidance_or_number_of_steps(kind: str, tmp_path: Any) -> None:
    pipeline = tiny_pipeline(kind)
    identity = tiny_model(kind, pipeline=pipeline).identity()
    ReferenceStore.open(tmp_path, identity)
    changes: list[dict[str, Any]] = [{"height": 2 * TINY[kind].side}, {"num_steps": T + 1}, {"guidance_scale": 1.0}]
    if family_of(kind).is_video:
        changes.append({"frames": 2 * TINY[kind].frames - 1})
    for change in changes:
        other = tiny_model(kind, pipeline=pipeline, **change).identity()
        with pytest.raises(BadInputError):
            ReferenceStore.open(tmp_path, other)
    ReferenceStore.open(tmp_path, identity)


def test_samples_are_frames(model: Model) -> None:
    section = tiny_section(model.adapter.family.kind)
    images = run(model, FULL).generation.images
    assert images.shape == (1, section.frames, section.height, section.width, 3)
    assert images.dtype == np.uint8
    assert images.std() > 1
