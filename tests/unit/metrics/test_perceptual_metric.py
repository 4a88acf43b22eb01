"""LPIPS without a download: repeatable, ordered by error, and honest when it cannot download."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from urllib.error import URLError

import lpips
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recache_ray.errors import BadInputError
from recache_ray.metrics.perceptual import LpipsMetric

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def metric() -> LpipsMetric:
    return LpipsMetric("alex", "seeded")


def smooth_image(seed: int, size: int = 64) -> Images:
    """Blobs of colour [1, size, size, 3]: closer to a generation than noise."""
    cells = np.random.default_rng(seed).uniform(0, 255, (8, 8, 3))
    return np.kron(cells, np.ones((size // 8, size // 8, 1))).astype(np.uint8)[None]


def perturbed(image: Images, amplitude: float, seed: int) -> Images:
    """Noise whose grain, from one pixel to a quarter of the image, is drawn too."""
    generator = np.random.default_rng(seed)
    grain = int(generator.choice([1, 4, 16]))
    side = image.shape[1] // grain
    noise = np.kron(generator.normal(0, amplitude, (side, side, 3)), np.ones((grain, grain, 1)))
    return np.clip(np.round(image + noise), 0, 255).astype(np.uint8)


def test_same_weights_in_every_process_whatever_the_global_generator(metric: LpipsMetric) -> None:
    image = smooth_image(0)
    other = np.stack([perturbed(image, 20, seed) for seed in range(4)])
    torch.manual_seed(123)
    state = torch.get_rng_state()
    again = LpipsMetric("alex", "seeded")
    assert torch.equal(torch.get_rng_state(), state)  # building it draws nothing from the caller's generator
    assert again(other, image) == metric(other, image)


def test_seeded_weights_are_fixed_numbers(metric: LpipsMetric) -> None:
    """Rewards of one release compare with those of another only while this figure stays."""
    pinned = metric(perturbed(smooth_image(0), 20, 1)[None], smooth_image(0))[0]
    assert pinned == pytest.approx(0.127911, rel=1e-4)


def test_identical_images_measure_nothing_and_order_is_kept(metric: LpipsMetric) -> None:
    image = smooth_image(1)
    batch = np.stack([image, perturbed(image, 30, 0), perturbed(image, 8, 0), image])
    same, far, near, same_again = metric(batch, image)
    assert same < 1e-9 and same_again < 1e-9
    assert near < far


def test_log_lpips_follows_log_error(metric: LpipsMetric) -> None:
    correlations = []
    for seed in range(3):
        image = smooth_image(seed)
        amplitudes = np.geomspace(1.0, 60.0, 40)
        batch = np.stack([perturbed(image, amplitude, 100 + i) for i, amplitude in enumerate(amplitudes)])
        errors = ((batch.astype(float) - image) ** 2).mean(axis=(1, 2, 3, 4))
        correlations.append(np.corrcoef(np.log(metric(batch, image)), np.log(errors))[0, 1])
    assert min(correlations) > 0.95


def test_a_batch_beyond_one_forward_equals_images_one_by_one(metric: LpipsMetric) -> None:
    image = smooth_image(2)
    batch = np.stack([perturbed(image, 20, seed) for seed in range(18)])
    alone = [metric(one[None], image)[0] for one in batch]
    assert metric(batch, image) == pytest.approx(alone, rel=1e-4)


def test_the_figure_is_that_of_the_lpips_package(metric: LpipsMetric) -> None:
    """Both orders of arguments and separate, unbatched calls of the package's own forward agree with ours."""
    image, other = smooth_image(3), perturbed(smooth_image(3), 25, 3)
    model = metric._model
    assert isinstance(model, lpips.LPIPS)
    tensors = [torch.from_numpy(each[0]).permute(2, 0, 1)[None] / 127.5 - 1 for each in (image, other)]
    expected = float(model(*tensors))
    assert metric(other[None], image)[0] == pytest.approx(expected, rel=1e-4)
    assert float(model(*reversed(tensors))) == pytest.approx(expected, rel=1e-4)


def test_videos_average_their_frames(metric: LpipsMetric) -> None:
    reference = np.concatenate([smooth_image(4), smooth_image(5)])
    video = np.concatenate([perturbed(smooth_image(4), 10, 0), perturbed(smooth_image(5), 40, 1)])
    frames = [metric(video[None, f : f + 1], reference[f : f + 1])[0] for f in range(2)]
    assert metric(video[None], reference)[0] == pytest.approx(sum(frames) / 2, rel=1e-5)


def test_another_backbone_orders_errors_too() -> None:
    other = LpipsMetric("squeeze", "seeded")  # vgg has 138 M parameters to initialise, seconds of a test run
    image = smooth_image(6, size=32)
    near, far = other(np.stack([perturbed(image, 5, 0), perturbed(image, 40, 0)]), image)
    assert 0 < near < far


def test_no_weights_are_trained_and_nothing_is_recorded(metric: LpipsMetric) -> None:
    assert not metric._model.training
    assert not any(parameter.requires_grad for parameter in metric._model.parameters())


def test_a_pretrained_backbone_that_cannot_be_downloaded_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(BadInputError, match=r"set reward\.lpips_weights=seeded") as caught:
        LpipsMetric("alex", "pretrained")
    assert "\n" not in str(caught.value)
    assert "Name or service not known" in str(caught.value)
