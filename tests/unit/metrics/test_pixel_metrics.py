"""PSNR and SSIM against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.image import StructuralSimilarityIndexMeasure

from recache_ray.errors import BadInputError
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.metrics.pixel import PSNR_CEILING_DB, psnr, ssim

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def lpips() -> LpipsMetric:
    return LpipsMetric("alex", "seeded")


def random_images(*shape: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_psnr_is_its_formula_per_frame_then_averaged() -> None:
    images, reference = random_images(3, 2, 20, 24, 3), random_images(2, 20, 24, 3, seed=1)
    errors = ((images / 255.0 - reference / 255.0) ** 2).mean(axis=(2, 3, 4))
    expected = (-10 * np.log10(errors)).mean(axis=1)
    assert psnr(images, reference) == pytest.approx(expected.tolist(), rel=1e-5)


def test_identical_images_reach_the_ceiling_and_one() -> None:
    reference = random_images(1, 32, 32, 3)
    assert psnr(reference[None], reference) == [PSNR_CEILING_DB]
    assert ssim(reference[None], reference) == pytest.approx([1.0])


def test_ssim_is_its_formula_on_one_window() -> None:
    """An 11x11 image has one valid window per channel: the formula written out (Wang et al. 2004)."""
    first, second = random_images(1, 1, 11, 11, 3), random_images(1, 11, 11, 3, seed=1)
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line)[:, :, None] / line.sum() ** 2
    x, y = first[0, 0] / 255.0, second[0] / 255.0
    mean_x, mean_y = (window * x).sum((0, 1)), (window * y).sum((0, 1))
    var_x, var_y = (window * x * x).sum((0, 1)) - mean_x**2, (window * y * y).sum((0, 1)) - mean_y**2
    covariance = (window * x * y).sum((0, 1)) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    expected = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    assert ssim(first, second)[0] == pytest.approx(float(expected.mean()), abs=1e-4)


def test_more_noise_is_worse_for_both() -> None:
    reference = np.full((1, 32, 32, 3), 128, dtype=np.uint8)
    noise = np.random.default_rng(0).normal(0, 1, reference.shape)
    images = np.stack([np.clip(reference + amplitude * noise, 0, 255).astype(np.uint8) for amplitude in (2, 8, 32)])
    for metric in (psnr, ssim):
        values = metric(images, reference)
        assert values == sorted(values, reverse=True)
        assert all(math.isfinite(value) for value in values)


@pytest.mark.parametrize(
    ("images", "reference"),
    [
        ((2, 1, 32, 32, 3), (1, 32, 16, 3)),
        ((2, 1, 32, 32, 3), (2, 32, 32, 3)),
        ((1, 32, 32, 3), (1, 32, 32, 3)),
        ((2, 1, 32, 32, 4), (1, 32, 32, 4)),
    ],
)
def test_other_sizes_are_refused_with_both_shapes(
    lpips: LpipsMetric, images: tuple[int, ...], reference: tuple[int, ...]
) -> None:
    for metric in (psnr, ssim, lpips):
        with pytest.raises(BadInputError) as caught:
            metric(random_images(*images), random_images(*reference))
        assert str(images) in str(caught.value)
        assert str(reference) in str(caught.value)


def test_values_other_than_bytes_are_refused() -> None:
    with pytest.raises(BadInputError, match="float64"):
        psnr(np.zeros((1, 1, 32, 32, 3)), random_images(1, 32, 32, 3))  # type: ignore[arg-type]


def test_whole_video_psnr_is_one_error_over_all_frames() -> None:
    images, reference = random_images(2, 3, 20, 24, 3), random_images(3, 20, 24, 3, seed=1)
    images[:, 1] = reference[1]  # an exact frame counts as 100 dB per frame, and only lowers the error of the video
    errors = ((images / 255.0 - reference / 255.0) ** 2).mean(axis=(1, 2, 3, 4))
    assert psnr(images, reference, "whole_video") == pytest.approx((-10 * np.log10(errors)).tolist(), rel=1e-5)
    assert psnr(images, reference, "per_frame")[0] > psnr(images, reference, "whole_video")[0] + 20


def test_whole_video_ssim_is_torchmetrics_own_figure() -> None:
    images, reference = random_images(2, 3, 20, 24, 3), random_images(3, 20, 24, 3, seed=1)
    images[:, :, :5] = reference[:, :5]  # borders that differ from the inside tell the conventions apart
    measure = StructuralSimilarityIndexMeasure(data_range=1.0)
    target = torch.from_numpy(reference).permute(0, 3, 1, 2) / 255
    expected = [float(measure(torch.from_numpy(each).permute(0, 3, 1, 2) / 255, target)) for each in images]
    assert ssim(images, reference, "whole_video") == pytest.approx(expected, rel=1e-5)
    assert ssim(images, reference, "per_frame")[0] < ssim(images, reference, "whole_video")[0] - 0.01
