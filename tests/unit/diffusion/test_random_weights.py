"""Pipelines of random weights run the steps of the real ones: FLOPs as counted from the architecture alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from recache_ray.caching.taylor import TaylorSeer
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.architecture import Architecture, Size, architecture
from recache_ray.diffusion.cost import measure_step_cost
from recache_ray.diffusion.forward_cost import count_forward
from recache_ray.diffusion.random_weights import REVISION, random_adapter, random_embeddings
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

SMALL = {
    "flux_dev": ("flux", {"num_layers": 1, "num_single_layers": 2, "attention_head_dim": 16, "num_attention_heads": 2,
                          "joint_attention_dim": 8, "pooled_projection_dim": 8, "axes_dims_rope": [4, 4, 8]}),
    "wan21_1_3b": ("wan", {"num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 16,
                           "text_dim": 8, "freq_dim": 16}),
    "hunyuan_video": ("hunyuan_video", {"num_layers": 1, "num_single_layers": 1, "num_attention_heads": 2,
                                        "attention_head_dim": 16, "num_refiner_layers": 1, "text_embed_dim": 8,
                                        "pooled_projection_dim": 8, "rope_axes_dim": [4, 4, 8]}),
}  # fmt: skip
"""``model.kind`` of each published architecture, and what makes it small."""


def small(name: str) -> tuple[ModelConfig, Architecture]:
    kind, changes = SMALL[name]
    published = architecture(name)
    frames = 1 if published.vae_temporal == 1 else 5
    section = ModelConfig(
        kind, device="cpu", num_steps=4, height=32, width=64, frames=frames, guidance_scale=3.0, max_text_tokens=7
    )
    return section, replace(published, config={**published.config, **changes}, text_tokens=7)


@pytest.mark.parametrize("name", SMALL)
def test_steps_cost_what_the_architecture_says(name: str) -> None:
    section, model = small(name)
    adapter = random_adapter(section, model, "a name")
    cost = measure_step_cost(adapter, random_embeddings(section, model), TaylorSeer(1))
    counted = count_forward(model, Size(section.height, section.width, section.frames))
    forwards = model.forwards_per_step
    assert (cost.computed_flops, cost.cached_flops) == (forwards * counted.flops, forwards * counted.cached_flops)
    assert (adapter.spec.id, adapter.spec.revision) == ("a name", REVISION)


@pytest.mark.parametrize("name", SMALL)
def test_weights_have_the_dtype_asked_for_and_other_modules_keep_theirs(name: str) -> None:
    section, model = small(name)
    adapter = random_adapter(replace(section, dtype="bfloat16"), model, "a name")
    assert torch.get_default_dtype() == torch.float32
    assert adapter.spec.dtype == "bfloat16"
    assert {parameter.dtype for parameter in adapter.transformer.parameters()} == {torch.bfloat16}
    generation = adapter.run(
        random_embeddings(section, model), 0, [Schedule(4, (0, 2)), Schedule(4, (0, 1, 3))], TaylorSeer(1)
    )
    assert generation.images.shape == (2, section.frames, section.height, section.width, 3)


def test_what_would_be_another_model_is_refused() -> None:
    section, model = small("flux_dev")
    _, video = small("wan21_1_3b")
    video_section = replace(section, kind="wan", frames=5)
    for case in (
        (replace(section, kind="ltx"), model, r"model\.kind = 'ltx'.*known: flux, wan, hunyuan_video"),
        (replace(section, kind="wan"), model, r"flux_dev: has a FluxTransformer2DModel, model\.kind = 'wan'"),
        (video_section, replace(video, vae_spatial=16), r"wan21_1_3b: its autoencoder has factors 16 and 4"),
    ):
        with pytest.raises(BadInputError, match=case[2]):
            random_adapter(case[0], case[1], "a name")
