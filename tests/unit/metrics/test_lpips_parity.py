"""LPIPS with the published heads against torchmetrics' own implementation, on the same random backbone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torchmetrics.functional.image.lpips import _LPIPS

from recache_ray.metrics.perceptual import LpipsMetric

CONSTRUCTORS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_lpips_agrees_with_torchmetrics_within_1e_4(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages get one random backbone where they would download ImageNet's; the heads are those they ship."""
    build = getattr(torchvision.models, CONSTRUCTORS[net])
    torch.manual_seed(0)
    backbone = build(weights=None)

    def instead_of_a_download(*_: Any, **__: Any) -> torch.nn.Module:
        return backbone

    monkeypatch.setattr(torchvision.models, CONSTRUCTORS[net], instead_of_a_download)
    ours = LpipsMetric(net, "pretrained")
    theirs = _LPIPS(pretrained=True, net=net, pnet_rand=True, eval_mode=True)
    generator = np.random.default_rng(0)
    reference = generator.integers(0, 256, (1, 64, 72, 3), dtype=np.uint8)
    images = np.clip(reference + generator.normal(0, 30, (3, 1, 64, 72, 3)), 0, 255).astype(np.uint8)
    tensors = [torch.from_numpy(each).permute(0, 3, 1, 2) / 255 for each in (images[:, 0], reference)]
    with torch.no_grad():
        expected = theirs(tensors[0], tensors[1].expand_as(tensors[0]), normalize=True).flatten().tolist()
    assert min(expected) > 1e-3
    assert ours(images, reference) == pytest.approx(expected, abs=1e-4)
