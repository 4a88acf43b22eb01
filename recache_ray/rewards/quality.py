"""The configured quality model, loaded once per worker."""

from __future__ import annotations

from recache_ray.config.reward import RewardConfig
from recache_ray.diffusion.shapes import quality_path
from recache_ray.metrics.quality.scorer import QualityScorer


def quality_kind(section: RewardConfig, model_kind: str) -> str:
    """Which quality model a reward uses; ``none`` where nothing would look at it."""
    if section.quality != "auto":
        return section.quality
    if section.alpha == 0:
        return "none"
    return "shapes" if model_kind == "shapes" else "hpsv2.1"


def build_quality(section: RewardConfig, model_kind: str, device: str = "cpu") -> QualityScorer | None:
    """Load it; None where the reward has no use for one.

    Raises:
        BadInputError: if its weights or its environment are missing or unfit.
    """
    kind = quality_kind(section, model_kind)
    path, revision = section.quality_path, section.quality_revision
    match kind:
        case "none":
            return None
        case "shapes" | "open_clip":
            from recache_ray.metrics.quality.open_clip_scorer import OpenClipScorer

            return OpenClipScorer.from_folder(str(quality_path()) if kind == "shapes" else path, device)
        case "hpsv2.0" | "hpsv2.1":
            from recache_ray.metrics.quality.open_clip_scorer import OpenClipScorer

            return OpenClipScorer.hps(kind, path, revision, device)
        case "clipscore" | "pickscore":
            from recache_ray.metrics.quality.transformers_clip import TransformersClipScorer

            return TransformersClipScorer(kind, path, revision, device)
        case "imagereward":
            from recache_ray.metrics.quality.imagereward import ImageRewardScorer

            return ImageRewardScorer(section.quality_env, path, device)
        case _:
            raise AssertionError(f"reward.quality = {kind!r} passed the configuration's check")
