"""FLUX text-to-image behind the adapter interface: the embedded model, FLUX.1-dev, and what shares their pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from recache_ray.caching.adaptive import AdaptiveInterceptor
from recache_ray.caching.gates.gate import Gate
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.two_anchor import GatedMechanism
from recache_ray.config.sections import ModelConfig
from recache_ray.diffusion.adapter import GatedGeneration, Generation, ModelSpec, NonFiniteGenerationError
from recache_ray.diffusion.fingerprint import config_hash, weights_fingerprint
from recache_ray.diffusion.hub import resolve_folder
from recache_ray.diffusion.quiet import quiet_loading
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

Pipeline = Any
"""A ``FluxPipeline``; diffusers' classes carry no types."""


class FluxAdapter:
    """A ``FluxPipeline`` whose text encoders come and go.

    Args:
        pipeline: the pipeline, with or without text encoders; the adapter owns it from now on.
        section: steps, size, guidance, text length.
        model_id: name under which schedules are recorded.
        fingerprint: identifies the weights, see :mod:`recache_ray.diffusion.fingerprint`.
        load_text_pipeline: makes a pipeline that holds the text encoders; None where prompts never need encoding.

    Raises:
        BadInputError: if the picture size is not a multiple of what the autoencoder packs into one token.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        section: ModelConfig,
        *,
        model_id: str,
        fingerprint: str,
        load_text_pipeline: Callable[[], Pipeline] | None = None,
    ) -> None:
        multiple = 2 * pipeline.vae_scale_factor
        for name in ("height", "width"):
            if getattr(section, name) % multiple:
                raise BadInputError(f"model.{name} = {getattr(section, name)}: must be a multiple of {multiple} pixels")
        self.pipeline = pipeline
        self._section = section
        self._fingerprint = fingerprint
        self._load_text_pipeline = load_text_pipeline
        self._text_pipeline: Pipeline | None = None
        pipeline.set_progress_bar_config(disable=True)
        pipeline.vae.enable_slicing()  # one picture at a time: bounded memory, and the bits of a picture decoded alone
        self.spec = ModelSpec(
            id=model_id,
            revision=fingerprint,
            pipeline_class=type(pipeline).__name__,
            scheduler=type(pipeline.scheduler).__name__,
            scheduler_hash=config_hash(pipeline.scheduler.config),
            num_steps=section.num_steps,
            height=section.height,
            width=section.width,
            guidance=section.guidance_scale,
            dtype=str(pipeline.transformer.dtype).removeprefix("torch."),
            device=pipeline.device.type,
        )

    @property
    def transformer(self) -> nn.Module:
        """The denoiser whose block stack is cached."""
        return self.pipeline.transformer

    def identity(self) -> dict[str, str | int | float]:
        """Everything that determines a generation besides prompt, noise seed, schedule and mechanism."""
        spec = self.spec
        return {
            "model": spec.id,
            "weights": self._fingerprint,
            "pipeline_class": spec.pipeline_class,
            "scheduler": spec.scheduler,
            "scheduler_hash": spec.scheduler_hash,
            "num_steps": spec.num_steps,
            "guidance": spec.guidance,
            "height": spec.height,
            "width": spec.width,
            "frames": spec.frames,
            "dtype": spec.dtype,
            "device": spec.device,
            "max_text_tokens": self._section.max_text_tokens,
            "torch": version("torch").split("+")[0],
            "diffusers": version("diffusers"),
            "transformers": version("transformers"),
        }

    @torch.no_grad()
    def encode(self, text: str) -> dict[str, Tensor]:
        """Embed one prompt: ``prompt_embeds`` [L, D] and ``pooled_prompt_embeds`` [P] on the CPU.

        Raises:
            BadInputError: if this adapter was made without a way to get text encoders.
        """
        tokens, pooled, _ = self.load_text_encoders().encode_prompt(
            prompt=text, max_sequence_length=self._section.max_text_tokens
        )
        return {"prompt_embeds": tokens[0].cpu(), "pooled_prompt_embeds": pooled[0].cpu()}

    def load_text_encoders(self) -> Pipeline:
        """Make sure the text encoders are in memory; the pipeline that holds them.

        Raises:
            BadInputError: if this adapter was made without a way to get them.
        """
        if self._text_pipeline is None:
            if self._load_text_pipeline is None:
                raise BadInputError(f"model {self.spec.id}: has no text encoders; give the prompt's stored embeddings")
            self._text_pipeline = self._load_text_pipeline()
        return self._text_pipeline

    def release_text_encoders(self) -> None:
        """Free the text encoders; :meth:`encode` loads them again."""
        self._text_pipeline = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def run(
        self,
        embeddings: Mapping[str, Tensor],
        noise_seed: int,
        schedules: Sequence[Schedule],
        mechanism: CachingMechanism | None = None,
    ) -> Generation:
        """Generate every schedule from the same prompt and noise in one pipeline call.

        A full schedule alone runs the untouched pipeline.

        Raises:
            BadInputError: if a schedule's T is not the model's, or a cached step has no mechanism.
            NonFiniteGenerationError: if any result is NaN or infinite.
        """
        num_steps = self.spec.num_steps
        for schedule in schedules:
            if schedule.num_steps != num_steps:
                raise BadInputError(
                    f"schedule of num_steps = {schedule.num_steps}: the model runs model.num_steps = {num_steps}; "
                    "make them equal"
                )
        started = time.perf_counter()
        requested = sum(schedule.budget for schedule in schedules)
        if len(schedules) == 1 and requested == num_steps:
            pictures = self._call(embeddings, noise_seed, 1)
            executed = num_steps
        elif mechanism is None:
            raise BadInputError("schedule with cached steps: needs a caching mechanism; give one or use Schedule.full")
        else:
            with ScheduleInterceptor(self.transformer, schedules, mechanism) as interceptor:
                pictures = self._call(embeddings, noise_seed, len(schedules))
            executed = interceptor.forwards_executed
        images = _quantise(pictures, schedules, noise_seed)
        return Generation(images, requested, executed, time.perf_counter() - started)

    def run_gated(
        self, embeddings: Mapping[str, Tensor], noise_seed: int, gate: Gate, mechanism: GatedMechanism
    ) -> GatedGeneration:
        """Generate one picture whose computed steps the gate chooses as it goes.

        Raises:
            NonFiniteGenerationError: if the result is NaN or infinite.
        """
        started = time.perf_counter()
        with AdaptiveInterceptor(self.transformer, gate, mechanism, self.spec.num_steps) as interceptor:
            pictures = self._call(embeddings, noise_seed, 1)
        schedule = interceptor.schedule
        images = _quantise(pictures, [schedule], noise_seed)
        seconds = time.perf_counter() - started
        return GatedGeneration(Generation(images, schedule.budget, schedule.budget, seconds), schedule)

    def _call(self, embeddings: Mapping[str, Tensor], noise_seed: int, count: int) -> npt.NDArray[np.float32]:
        """One pipeline call for ``count`` siblings; float pictures [M, H, W, 3] in 0..1."""
        device, dtype = self.pipeline.device, self.pipeline.transformer.dtype
        repeated = {
            name: embeddings[name].to(device=device, dtype=dtype).expand(count, *embeddings[name].shape)
            for name in ("prompt_embeds", "pooled_prompt_embeds")
        }
        return self.pipeline(
            **repeated,
            height=self.spec.height,
            width=self.spec.width,
            num_inference_steps=self.spec.num_steps,
            guidance_scale=self.spec.guidance,
            generator=[torch.Generator("cpu").manual_seed(noise_seed) for _ in range(count)],
            output_type="np",
        ).images


def load_flux(section: ModelConfig, path: str, with_text_encoders: bool = False) -> FluxAdapter:
    """Load a FLUX pipeline from a local folder or the hub.

    Args:
        section: the generation protocol, dtype and device.
        path: folder written by ``save_pretrained``, or a hub id.
        with_text_encoders: load them now rather than at the first :meth:`FluxAdapter.encode`.

    Raises:
        BadInputError: if there is no such folder, the hub cannot be reached, the pipeline is of another class, or
            ``model.device`` asks for a GPU that is not there.
    """
    device = section.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise BadInputError("model.device = 'cuda': this process sees no GPU; use model.device=auto or a GPU worker")
    folder, revision = resolve_folder(path, section.revision, expected_class=FluxPipeline.__name__)
    dtype = getattr(torch, section.dtype)

    def text_pipeline() -> Pipeline:
        with quiet_loading():
            return FluxPipeline.from_pretrained(folder, transformer=None, vae=None, dtype=dtype).to(device)

    with quiet_loading():
        pipeline = FluxPipeline.from_pretrained(
            folder, text_encoder=None, text_encoder_2=None, tokenizer=None, tokenizer_2=None, dtype=dtype
        ).to(device)
    adapter = FluxAdapter(
        pipeline,
        section,
        model_id="shapes" if section.kind == "shapes" and not section.path else _name(path),
        fingerprint=revision or weights_fingerprint(folder),
        load_text_pipeline=text_pipeline,
    )
    if with_text_encoders:
        adapter.load_text_encoders()
    return adapter


def _quantise(
    pictures: npt.NDArray[np.float32], schedules: Sequence[Schedule], noise_seed: int
) -> npt.NDArray[np.uint8]:
    """Pictures [M, H, W, 3] in 0..1 as images [M, 1, H, W, 3], one schedule each."""
    failed = [s for s, picture in zip(schedules, pictures, strict=True) if not np.isfinite(picture).all()]
    if failed:
        raise NonFiniteGenerationError(failed, noise_seed)
    return (pictures * 255).round().astype(np.uint8)[:, None]


def _name(path: str) -> str:
    return Path(path).resolve().name if Path(path).is_dir() else path
