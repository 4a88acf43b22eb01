"""The training code on a few steps: shapes, resumption, and a directory that plain diffusers loads."""

from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline

from recache_ray.diffusion.embedded_training.checkpoint import load_checkpoint, save_checkpoint
from recache_ray.diffusion.embedded_training.noise import noise_levels
from recache_ray.diffusion.embedded_training.optimisers import Optimisers
from recache_ray.diffusion.shapes import MAX_SEQUENCE_LENGTH
from recache_ray.diffusion.shapes.architecture import SHIFT_AT_64_TOKENS, build_pipeline, build_vae
from recache_ray.diffusion.shapes.data import ExamplePool, packed_latents
from recache_ray.diffusion.shapes.guidance import Guidance
from recache_ray.diffusion.shapes.snapshot import save_snapshot
from recache_ray.diffusion.shapes.train_transformer import FlowModel, flow_loss, is_block_matrix


@pytest.fixture(scope="module")
def pipeline() -> FluxPipeline:
    torch.manual_seed(0)
    return build_pipeline(build_vae().eval(), seed=0)


def train(pipeline: FluxPipeline, model: FlowModel, optimisers: Optimisers, steps: int, seed: int) -> list[float]:
    pool = ExamplePool(pipeline, 6, 8, seed)
    generator = torch.Generator().manual_seed(seed)
    guidance = Guidance(pipeline)
    losses = []
    for step in range(steps):
        pool.add(2)
        optimisers.schedule(step, 0.0)
        optimisers.zero_grad()
        loss = flow_loss(model, pool.batch(4), generator, guidance, guided=1.0)
        loss.backward()
        optimisers.step()
        losses.append(float(loss.detach()))
    return losses


def test_a_checkpoint_continues_exactly(pipeline: FluxPipeline, tmp_path: Path) -> None:
    model = FlowModel(pipeline)
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimisers = Optimisers(model, is_block_matrix)
    train(pipeline, model, optimisers, steps=2, seed=0)
    save_checkpoint(tmp_path, model, average, optimisers.all, step=2, seconds=1.5)
    expected = train(pipeline, model, optimisers, steps=1, seed=1)

    restored = FlowModel(build_pipeline(pipeline.vae, seed=9))
    other = Optimisers(restored, is_block_matrix)
    zeros = {name: torch.zeros_like(value) for name, value in restored.named_parameters()}
    assert load_checkpoint(tmp_path, restored, zeros, other.all) == (2, 1.5)
    assert train(pipeline, restored, other, steps=1, seed=1) == expected
    for (name, value), again in zip(model.named_parameters(), restored.parameters(), strict=True):
        assert torch.equal(value, again), name
    assert all(torch.equal(average[name], zeros[name]) for name in average)


def test_a_snapshot_loads_with_plain_diffusers_and_draws(pipeline: FluxPipeline, tmp_path: Path) -> None:
    model = FlowModel(pipeline)
    average = {name: value.detach().clone() for name, value in model.named_parameters()}
    save_snapshot(pipeline, model, average, tmp_path / "snapshot")
    assert not [path for path in tmp_path.rglob("*.json") if "_name_or_path" in path.read_text()]
    loaded = FluxPipeline.from_pretrained(tmp_path / "snapshot")
    loaded.set_progress_bar_config(disable=True)
    assert loaded.transformer.dtype == torch.float32
    image = loaded(
        "a large red circle on the left of a blue background",
        height=64,
        width=64,
        num_inference_steps=2,
        max_sequence_length=MAX_SEQUENCE_LENGTH,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).images
    assert image.shape == (1, 3, 64, 64)
    assert torch.isfinite(image).all()


def test_latents_are_packed_as_the_pipeline_unpacks_them(pipeline: FluxPipeline) -> None:
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    packed = packed_latents(pipeline.vae, pixels)
    config = pipeline.vae.config
    unpacked = FluxPipeline._unpack_latents(packed, 64, 64, pipeline.vae_scale_factor)
    latents = unpacked / config["scaling_factor"] + config["shift_factor"]
    with torch.no_grad():
        assert torch.allclose(latents, pipeline.vae.encode(pixels).latent_dist.mode(), atol=1e-5)


def test_training_noise_is_shifted_as_the_scheduler_shifts_it(pipeline: FluxPipeline) -> None:
    levels = noise_levels(4000, SHIFT_AT_64_TOKENS, torch.Generator().manual_seed(0))
    assert 0 < float(levels.min()) < float(levels.max()) <= 1
    scheduler = pipeline.scheduler
    slope = (scheduler.config.max_shift - scheduler.config.base_shift) / (4096 - 256)
    scheduler.set_timesteps(sigmas=[1.0, 0.5], mu=scheduler.config.base_shift + slope * (64 - 256))
    shifted_half = SHIFT_AT_64_TOKENS / (1 + SHIFT_AT_64_TOKENS)
    assert float(scheduler.sigmas[1]) == pytest.approx(shifted_half, abs=1e-3)
    assert float(levels.median()) == pytest.approx(shifted_half, abs=0.03)
