"""What both embedded models are trained with: exact resumption, the running average, noise and its levels."""

from pathlib import Path

import pytest
import torch
from torch import nn

from recache_ray.diffusion.embedded_training.noise import add_noise
from recache_ray.diffusion.embedded_training.round_trip import mean_psnr_db
from recache_ray.diffusion.embedded_training.training import EMA_DECAY, Training


def is_first_layer(name: str, value: torch.Tensor) -> bool:
    return value.ndim == 2 and name.startswith("0.")


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 6))


def train(model: nn.Module, training: Training, steps: int) -> None:
    while training.step < steps:
        training.optimisers.schedule(training.step, progress=training.step / 10)
        training.optimisers.zero_grad()
        inputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(training.step))
        (model(inputs) - inputs).square().mean().backward()
        training.update()


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = network(0)
    uninterrupted = Training(whole, is_first_layer, tmp_path / "whole")
    train(whole, uninterrupted, 6)

    stopped = network(0)
    first = Training(stopped, is_first_layer, tmp_path / "parts")
    train(stopped, first, 2)
    first.save(trained_s=1.5)
    again = network(1)
    second = Training(again, is_first_layer, tmp_path / "parts")
    assert (second.step, second.before_s) == (2, 1.5)
    train(again, second, 6)
    for name, value in whole.named_parameters():
        assert torch.equal(value, again.get_parameter(name)), name
        assert torch.equal(uninterrupted.average[name], second.average[name]), name


def test_the_average_follows_the_weights_quickly_at_first(tmp_path: Path) -> None:
    model = network(0)
    training = Training(model, is_first_layer, tmp_path)
    expected = model.get_parameter("0.weight").detach().clone()
    for step in range(4):
        train(model, training, step + 1)
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * model.get_parameter("0.weight").detach()
        assert torch.allclose(training.average["0.weight"], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 2, 3, 4, 4)])
def test_every_example_is_mixed_with_noise_at_a_level_of_its_own(shape: tuple[int, ...]) -> None:
    latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    levels, noise, noisy = add_noise(latents, 3.0, torch.Generator().manual_seed(1))
    assert len(set(levels.tolist())) == 5
    for row, level in enumerate(levels.tolist()):
        assert torch.allclose(noisy[row], (1 - level) * latents[row] + level * noise[row], atol=1e-6)


def test_the_ratio_of_a_known_error_is_known() -> None:
    originals = torch.zeros(2, 3, 4, 4)
    restored = torch.stack([originals[0] + 0.2, originals[1] + 0.02])
    assert mean_psnr_db(restored, originals) == pytest.approx((20 + 40) / 2, abs=1e-3)
