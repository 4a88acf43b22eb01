"""The families there are. Importing this makes their transformers known to :mod:`recache_ray.caching.cut`."""

from __future__ import annotations

from recache_ray.caching.cut import register_stack
from recache_ray.diffusion.embedded import family_kind
from recache_ray.diffusion.family import ModelFamily
from recache_ray.diffusion.models.cogvideox import COGVIDEOX
from recache_ray.diffusion.models.flux import FLUX
from recache_ray.diffusion.models.hunyuan_video import HUNYUAN_VIDEO
from recache_ray.diffusion.models.ltx import LTX
from recache_ray.diffusion.models.pixart_sigma import PIXART_SIGMA
from recache_ray.diffusion.models.qwen_image import QWEN_IMAGE
from recache_ray.diffusion.models.sd3 import SD3
from recache_ray.diffusion.models.wan import WAN

FAMILIES = (FLUX, WAN, HUNYUAN_VIDEO, SD3, PIXART_SIGMA, COGVIDEOX, QWEN_IMAGE, LTX)

for _family in FAMILIES:
    register_stack(_family.transformer_class, _family.stack)


def family_of(kind: str) -> ModelFamily:
    """The family of a ``model.kind``, embedded models included."""
    wanted = family_kind(kind)
    return next(family for family in FAMILIES if family.kind == wanted)


def family_of_pipeline(pipeline_class: str) -> ModelFamily | None:
    """The family of a pipeline class, None where it has no adapter."""
    return next((family for family in FAMILIES if family.pipeline_class == pipeline_class), None)


def known_pipelines() -> str:
    """The pipeline classes that have an adapter, for messages."""
    return ", ".join(family.pipeline_class for family in FAMILIES)
