"""What a cached generation is rewarded for."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class RewardConfig:
    """Fidelity, how close a cached generation stays to its uncached reference, plus alpha times quality."""

    lpips_net: str = knob("alex", "LPIPS backbone", choices=("alex", "vgg", "squeeze"))
    lpips_weights: str = knob(
        "seeded",
        "pretrained downloads the ImageNet backbone; seeded uses fixed random features and needs no download",
        choices=("pretrained", "seeded"),
    )
    fidelity: str = knob(
        "linear",
        "linear is -LPIPS as published, log is -ln(LPIPS), none leaves quality alone",
        choices=("log", "linear", "none"),
    )
    alpha: float = knob(
        0.0, "weight of the quality term; 7 as published, chosen by reward=published and reward=quality", ge=0, le=1000
    )
    quality: str = knob(
        "auto",
        "auto takes none at alpha 0, else shapes' own or hpsv2.1; a named one is measured at alpha 0 too",
        choices=("auto", "shapes", "open_clip", "hpsv2.0", "hpsv2.1", "clipscore", "pickscore", "imagereward"),
    )
    quality_path: str = knob("", "its checkpoint, folder or hub id; empty means the published one")
    quality_revision: str = knob("", "hub revision; empty means the default branch")
    quality_env: str = knob("", "folder of imagereward's own environment")
    frames: int = knob(0, "evenly spaced frames of a video that LPIPS and quality look at; 0 means all", ge=0)
    video_convention: str = knob(
        "per_frame",
        "PSNR and SSIM: per_frame as TeaCache and PAB, whole_video as EasyCache",
        choices=("per_frame", "whole_video"),
    )
