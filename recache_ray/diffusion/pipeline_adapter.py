"""Any diffusers pipeline of a known family behind the adapter interface; what is special stands in its family."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from recache_ray.caching.adaptive import AdaptiveInterceptor
from recache_ray.caching.gates.gate import Gate
from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.two_anchor import GatedMechanism
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.adapter import (
    Drawing,
    DrawnBatch,
    GatedGeneration,
    Generation,
    ModelSpec,
    embedded_shapes,
)
from recache_ray.diffusion.family import ModelFamily, Pipeline
from recache_ray.diffusion.fingerprint import config_hash
from recache_ray.diffusion.guidance import GuidanceMode
from recache_ray.diffusion.samples import frames_of, quantise
from recache_ray.diffusion.step_watch import CallCheck, check_pipeline, running_generation
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


class PipelineAdapter:
    """A pipeline whose text encoders come and go.

    Args:
        family: what is special about pipelines of this class.
        pipeline: the pipeline, with or without text encoders; the adapter owns it from now on.
        section: steps, size, guidance, text length.
        model_id: name under which schedules are recorded.
        fingerprint: identifies the weights, see :mod:`recache_ray.diffusion.fingerprint`.
        load_text_pipeline: makes a pipeline that holds the text encoders; None where prompts never need encoding.

    Raises:
        BadInputError: if the pipeline would change the sizes on its own, or its calls are not a schedule's steps.
    """

    def __init__(
        self,
        family: ModelFamily,
        pipeline: Pipeline,
        section: ModelConfig,
        *,
        model_id: str,
        fingerprint: str,
        load_text_pipeline: Callable[[], Pipeline] | None = None,
    ) -> None:
        check_pipeline(pipeline)
        family.check_sizes(section, pipeline)
        self.family = family
        self.pipeline = pipeline
        self._section = section
        self._guidance = family.guidance(section)
        self._fingerprint = fingerprint
        self._load_text_pipeline = load_text_pipeline
        self._text_pipeline: Pipeline | None = None
        pipeline.set_progress_bar_config(disable=True)
        pipeline.vae.enable_slicing()  # one sample at a time: bounded memory, and the bits of a sample decoded alone
        if section.vae_tiling:
            pipeline.vae.enable_tiling()
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
            device=pipeline._execution_device.type,
            frames=section.frames,
            forwards_per_step=self._guidance.calls,
            guidance_mode=self._guidance.value,
        )

    @property
    def transformer(self) -> nn.Module:
        """The denoiser whose block stack is cached."""
        return self.pipeline.transformer

    def identity(self) -> dict[str, str | int | float]:
        """Everything that determines a generation besides prompt, noise seed, schedule and mechanism."""
        spec, section = self.spec, self._section
        identity: dict[str, str | int | float] = {
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
            "max_text_tokens": section.max_text_tokens,
            "torch": version("torch").split("+")[0],
            "diffusers": version("diffusers"),
            "transformers": version("transformers"),
        }
        if self._guidance in (GuidanceMode.TWO_CALLS, GuidanceMode.DOUBLED_BATCH):
            identity["negative_prompt"] = section.negative_prompt
        if section.vae_tiling:
            identity["vae_tiling"] = 1
        return identity

    @torch.no_grad()
    def encode(self, text: str) -> dict[str, Tensor]:
        """Embed one prompt, and the negative one under guidance: unbatched CPU tensors by pipeline argument.

        Raises:
            BadInputError: if this adapter was made without a way to get text encoders.
        """
        encoded = self.family.encode(self.load_text_encoders(), text, self._section)
        return {name: tensor[0].cpu() for name, tensor in encoded.items() if tensor is not None}

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
            BadInputError: if a schedule's T is not the model's, a cached step has no mechanism, or the pipeline makes
                other transformer calls or sizes than the spec says.
            NonFiniteGenerationError: if any result is NaN or infinite.
            BlankGenerationError: if an uncached result is one colour throughout.
        """
        num_steps = self.spec.num_steps
        for schedule in schedules:
            if schedule.num_steps != num_steps:
                raise BadInputError(
                    f"schedule of num_steps = {schedule.num_steps}: the model runs model.num_steps = {num_steps}; "
                    "make them equal"
                )
        started = time.perf_counter()
        requested = self.spec.evaluations_per_step * sum(schedule.budget for schedule in schedules)
        if len(schedules) == 1 and schedules[0].budget == num_steps:
            samples = self._call([embeddings], [noise_seed])
            executed = requested
        elif mechanism is None:
            raise BadInputError("schedule with cached steps: needs a caching mechanism; give one or use Schedule.full")
        else:
            with ScheduleInterceptor(
                self.transformer, schedules, mechanism, self.spec.forwards_per_step, self._generation
            ) as interceptor:
                samples = self._call([embeddings] * len(schedules), [noise_seed] * len(schedules))
            executed = interceptor.forwards_executed
        images = quantise(samples, schedules, noise_seed)
        return Generation(images, requested, executed, time.perf_counter() - started)

    def run_drawings(self, drawings: Sequence[Drawing], mechanism: CachingMechanism) -> DrawnBatch:
        """Generate pictures of different prompts, noises and schedules in one pipeline call.

        Equal prompt embeddings (the same object) and noise make one stream, whose computed prefixes are shared.

        Raises:
            BadInputError: as :meth:`run`, or if there are none, or their embeddings differ in shape.
            NonFiniteGenerationError: if any result is NaN or infinite.
            BlankGenerationError: if an uncached result is one colour throughout.
        """
        started = time.perf_counter()
        if len({embedded_shapes(drawing.embeddings) for drawing in drawings}) > 1:
            raise BadInputError("drawings: their prompts are embedded in different lengths; draw each length by itself")
        schedules = [drawing.schedule for drawing in drawings]
        streams: dict[tuple[int, int], int] = {}
        stream_of = [streams.setdefault((id(each.embeddings), each.noise_seed), len(streams)) for each in drawings]
        with ScheduleInterceptor(
            self.transformer, schedules, mechanism, self.spec.forwards_per_step, self._generation, stream_of
        ) as interceptor:
            samples = self._call([each.embeddings for each in drawings], [each.noise_seed for each in drawings])
        images = quantise(samples, schedules, drawings[0].noise_seed)
        computed = tuple(calls // self.spec.forwards_per_step for calls in interceptor.computed_calls)
        return DrawnBatch(images, computed, interceptor.executed_by_sibling, time.perf_counter() - started)

    def run_gated(
        self, embeddings: Mapping[str, Tensor], noise_seed: int, gate: Gate, mechanism: GatedMechanism
    ) -> GatedGeneration:
        """Generate one sample whose computed steps the gate chooses as it goes.

        Raises:
            NonFiniteGenerationError: if the result is NaN or infinite.
            BlankGenerationError: if the gate computed every step and the result is one colour throughout.
        """
        started = time.perf_counter()
        with AdaptiveInterceptor(
            self.transformer, gate, mechanism, self.spec.num_steps, self.spec.forwards_per_step, self._generation
        ) as interceptor:
            samples = self._call([embeddings], [noise_seed])
        schedule = interceptor.schedule
        images = quantise(samples, [schedule], noise_seed)
        forwards = self.spec.evaluations_per_step * schedule.budget
        return GatedGeneration(Generation(images, forwards, forwards, time.perf_counter() - started), schedule)

    def _generation(self) -> object:
        return running_generation(self.pipeline, self.spec.num_steps)

    def _call(self, embeddings: Sequence[Mapping[str, Tensor]], noise_seeds: Sequence[int]) -> npt.NDArray[np.float32]:
        """One pipeline call, a row for each of the M embeddings; float samples [M, F, H, W, 3] in 0..1."""
        spec, family, count = self.spec, self.family, len(noise_seeds)
        arguments = {
            **{name: self._rows([each[name] for each in embeddings]) for name in embeddings[0]},
            **family.arguments,
            family.guidance_argument: spec.guidance,
        }
        if family.is_video:
            arguments["num_frames"] = spec.frames
        with CallCheck(self.transformer, spec.num_steps, self._guidance):
            output = self.pipeline(
                **arguments,
                height=spec.height,
                width=spec.width,
                num_inference_steps=spec.num_steps,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in noise_seeds],
                output_type="np",
            )
        samples = frames_of(output)
        if samples.shape != (count, spec.frames, spec.height, spec.width, 3):
            raise BadInputError(
                f"{spec.pipeline_class} made samples of shape {samples.shape[1:]}, the model is set to "
                f"{(spec.frames, spec.height, spec.width, 3)}; set model.frames, model.height and model.width to what "
                "the pipeline makes"
            )
        return samples

    def _rows(self, tensors: Sequence[Tensor]) -> Tensor:
        """One row for each; a view where all are the same tensor."""
        if all(tensor is tensors[0] for tensor in tensors):
            return self._placed(tensors[0]).expand(len(tensors), *tensors[0].shape)
        return self._placed(torch.stack(list(tensors)))

    def _placed(self, tensor: Tensor) -> Tensor:
        """An embedding on the pipeline's device, in the transformer's dtype unless it is a mask."""
        dtype = self.pipeline.transformer.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(device=self.pipeline._execution_device, dtype=dtype)
