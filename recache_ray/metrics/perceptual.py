"""LPIPS (Zhang et al. 2018, arXiv 1801.03924) through the ``lpips`` package, at native resolution.

Shapes: M siblings, F frames, H height, W width.
"""

from __future__ import annotations

import warnings

import lpips
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from recache_ray.errors import BadInputError
from recache_ray.metrics.frames import check_sizes, to_unit
from recache_ray.seeding import derive_seed

_MAX_IMAGES = 16  # per forward; bounds the memory of the feature maps at 1024x1024


class LpipsMetric:
    """LPIPS of generations to their reference; lower is closer, 0 is identical.

    Example: ``LpipsMetric("alex", "seeded")(images, reference)``.

    Args:
        net: backbone, ``alex``, ``vgg`` or ``squeeze``.
        weights: ``pretrained`` takes the ImageNet backbone, downloaded once by torchvision, with the published linear
            heads; ``seeded`` takes fixed random weights, the same in every process, and needs no download. Its channels
            carry no learnt meaning, so all count alike (the heads are ones): its figures compare with each other, not
            with published LPIPS.
        device: where to compute.

    Raises:
        BadInputError: if the pretrained backbone is not on this machine and cannot be downloaded.
    """

    def __init__(self, net: str = "alex", weights: str = "seeded", device: str = "cpu") -> None:
        self._device = torch.device(device)
        seeded = weights == "seeded"
        # building the network draws from the global generator, which belongs to the caller
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="torchvision")  # lpips calls it by an older signature
            try:
                model = lpips.LPIPS(net=net, lpips=not seeded, pnet_rand=seeded, verbose=False)
            except (OSError, RuntimeError) as error:  # RuntimeError: the file's hash is wrong
                raise BadInputError(
                    f"reward.lpips_weights = pretrained: the {net} backbone cannot be downloaded ({error}); run once "
                    "with access to it, or set reward.lpips_weights=seeded"
                ) from error
        if seeded:
            _seed_weights(model, net)
        self._model = model.eval().requires_grad_(False).to(self._device)

    def __call__(self, images: NDArray[np.uint8], reference: NDArray[np.uint8]) -> list[float]:
        """LPIPS of each sibling, the mean over its frames.

        Args:
            images: uint8 [M, F, H, W, 3].
            reference: uint8 [F, H, W, 3].

        Raises:
            BadInputError: if the sizes differ.
        """
        check_sizes(images, reference)
        totals = np.zeros(len(images), dtype=np.float64)
        with torch.inference_mode():
            for frame in range(len(reference)):
                # one reference broadcasts against the batch, so its features are computed once
                target = to_unit(reference[frame : frame + 1]).to(self._device)
                for start in range(0, len(images), _MAX_IMAGES):
                    rows = slice(start, start + _MAX_IMAGES)
                    batch = to_unit(images[rows, frame]).to(self._device)
                    distances = self._model(target, batch, normalize=True)
                    totals[rows] += distances.flatten().double().cpu().numpy()
        return [float(total) for total in totals / len(reference)]


def _seed_weights(model: nn.Module, net: str) -> None:
    """He initialisation from a generator of our own; uniform, since its draws are the same on every CPU."""
    generator = torch.Generator().manual_seed(derive_seed("lpips", net))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
