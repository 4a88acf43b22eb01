"""One picture from a trained policy."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class GenerateConfig:
    """One picture."""

    prompt: str = knob("", "what to draw")
    budget: int | str = knob(6, "computed steps k, or x3, 30%, 250ms")
    output: str = knob("out.png", "file to write", required=True)
    seed: int = knob(0, "seed of the noise", ge=0)
    compare: bool = knob(False, "also run uncached and print LPIPS, PSNR and SSIM to it")
