"""PSNR and SSIM through torchmetrics. Shapes: M siblings, F frames, H height, W width.

Two conventions for videos; on a single frame they differ in SSIM's border alone. ``per_frame`` (TeaCache, PAB): each
frame is measured on RGB in 0..1, then averaged over frames; SSIM counts windows inside the frame. ``whole_video``
(EasyCache): one mean squared error over all frames, and SSIM over windows that reach into reflected borders as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recache_ray.metrics.frames import check_sizes, to_unit

_BORDER = 5  # half a window: torchmetrics also scores windows that reach into reflected borders, TeaCache does not

PSNR_CEILING_DB = 100.0
"""PSNR reported where the mean squared error is below 1e-10, where the formula goes to infinity."""


def psnr(images: NDArray[np.uint8], reference: NDArray[np.uint8], convention: str = "per_frame") -> list[float]:
    """Peak signal-to-noise ratio in dB of ``images`` [M, F, H, W, 3] to ``reference`` [F, H, W, 3], one per sibling.

    Raises:
        BadInputError: if the sizes differ.
    """
    # imported where it is used: only evaluation asks, and it takes matplotlib and its metrics of audio and text along
    from torchmetrics.functional.image import peak_signal_noise_ratio

    check_sizes(images, reference)
    target = to_unit(reference)
    dimensions = (1, 2, 3) if convention == "per_frame" else (0, 1, 2, 3)
    return [
        float(
            peak_signal_noise_ratio(to_unit(sibling), target, data_range=1.0, reduction="none", dim=dimensions)
            .clamp(max=PSNR_CEILING_DB)
            .mean()
        )
        for sibling in images
    ]


def ssim(images: NDArray[np.uint8], reference: NDArray[np.uint8], convention: str = "per_frame") -> list[float]:
    """Structural similarity of each sibling's frames, averaged over windows, channels and frames.

    Windows are 11x11 Gaussians of sigma 1.5 with C1 = 0.01^2, C2 = 0.03^2 (Wang et al. 2004).

    Raises:
        BadInputError: if the sizes differ.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as _ssim

    check_sizes(images, reference)
    target = to_unit(reference)
    means = []
    for sibling in images:
        maps = _ssim(to_unit(sibling), target, data_range=1.0, reduction="none", return_full_image=True)[1]
        inside = maps[..., _BORDER:-_BORDER, _BORDER:-_BORDER] if convention == "per_frame" else maps
        means.append(float(inside.mean()))
    return means
