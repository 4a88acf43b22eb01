"""From the configuration to a loaded adapter."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import diffusers
import torch

from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.device import chosen_device
from recache_ray.diffusion.embedded import embedded_model
from recache_ray.diffusion.families import family_of
from recache_ray.diffusion.family import Pipeline
from recache_ray.diffusion.fingerprint import weights_fingerprint
from recache_ray.diffusion.hub import resolve_folder
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter
from recache_ray.diffusion.quiet import quiet_loading
from recache_ray.diffusion.weight_files import check_weight_files
from recache_ray.errors import BadInputError

_LOG = logging.getLogger(__name__)
_FEW_STEPS = 10


def load_model(section: ModelConfig, path: str, with_text_encoders: bool = False) -> PipelineAdapter:
    """Load a pipeline from a local folder or the hub.

    Args:
        section: the family, the generation protocol, dtype and device.
        path: folder written by ``save_pretrained``, or a hub id.
        with_text_encoders: load them now rather than at the first :meth:`PipelineAdapter.encode`.

    Raises:
        BadInputError: if there is no such folder, the hub cannot be reached, the pipeline is of another class, a file
            is not whole, or ``model.device`` asks for a GPU that is not there.
    """
    embedded = embedded_model(section.kind, section.path)
    if section.num_steps < _FEW_STEPS and embedded is None:
        _LOG.warning(
            "model.num_steps = %d: below %d, as for FLUX.1-schnell, steps differ too much for any to be worth taking "
            "from a cache",
            section.num_steps,
            _FEW_STEPS,
        )
    device = chosen_device(section)
    family = family_of(section.kind)
    folder, revision = resolve_folder(path, section.revision, expected_class=family.pipeline_class)
    check_weight_files(folder)
    if section.kind == "shapes-video":
        import recache_ray.diffusion.shapes_video.codec  # noqa: F401  diffusers takes foreign classes that are imported
    pipeline_class = getattr(diffusers, family.pipeline_class)
    dtype = getattr(torch, section.dtype)
    dtypes = {"default": dtype, "vae": getattr(torch, family.vae_dtype)} if family.vae_dtype else dtype

    def text_pipeline() -> Pipeline:
        with quiet_loading(warnings=embedded is None):
            return pipeline_class.from_pretrained(folder, transformer=None, vae=None, dtype=dtype).to(device)

    with quiet_loading(warnings=embedded is None):
        pipeline = pipeline_class.from_pretrained(folder, **dict.fromkeys(family.text_components), dtype=dtypes)
    if section.flow_shift:
        pipeline.scheduler = _shifted(pipeline.scheduler, section.flow_shift)
    if section.offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    adapter = PipelineAdapter(
        family,
        pipeline,
        section,
        model_id=_name(path) if embedded is None else embedded.kind,
        fingerprint=revision or weights_fingerprint(folder),
        load_text_pipeline=text_pipeline,
    )
    if with_text_encoders:
        adapter.load_text_encoders()
    return adapter


def _shifted(scheduler: Any, shift: float) -> Any:
    """The scheduler with its timesteps shifted by another constant."""
    known = [name for name in ("flow_shift", "shift") if name in scheduler.config]
    if not known or scheduler.config.get("use_dynamic_shifting"):
        raise BadInputError(
            f"model.flow_shift = {shift:g}: {type(scheduler).__name__} takes its shift from the picture's size or has "
            "none; set model.flow_shift=0"
        )
    return type(scheduler).from_config(scheduler.config, **{known[0]: shift})


def _name(path: str) -> str:
    return Path(path).resolve().name if Path(path).is_dir() else path
