"""What the rest of the project knows of a diffusion model: encode a prompt, run schedules, say what it is.

Sizes: M siblings, F frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from recache_ray.caching.gates.gate import Gate
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.two_anchor import GatedMechanism
from recache_ray.diffusion.guidance import GuidanceMode
from recache_ray.errors import RecacheError
from recache_ray.schedules import Schedule


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model and the generation protocol a schedule belongs to.

    Attributes:
        id: model name: ``shapes``, a hub id, or the name of a local folder.
        revision: hub commit, or the fingerprint of local weights.
        pipeline_class: for example ``FluxPipeline``.
        scheduler: class of the noise scheduler.
        scheduler_hash: SHA-256 of its configuration, hexadecimal.
        num_steps: T, transformer steps of one generation.
        height: pixels.
        width: pixels.
        guidance: guidance scale passed to the pipeline.
        dtype: of weights and activations, for example ``bfloat16``.
        device: where it runs, for example ``cuda``.
        frames: 1 for images.
        forwards_per_step: transformer calls a step makes (2 with classifier-free guidance in two calls).
        guidance_mode: value of a :class:`~recache_ray.diffusion.guidance.GuidanceMode`.
    """

    id: str
    revision: str
    pipeline_class: str
    scheduler: str
    scheduler_hash: str
    num_steps: int
    height: int
    width: int
    guidance: float
    dtype: str
    device: str
    frames: int = 1
    forwards_per_step: int = 1
    guidance_mode: str = GuidanceMode.EMBEDDED.value

    @property
    def evaluations_per_step(self) -> int:
        """Forwards that one computed step of one sibling costs: 2 with classifier-free guidance, however it is run."""
        return GuidanceMode(self.guidance_mode).evaluations


@dataclass(frozen=True, slots=True)
class Generation:
    """The pictures of M schedules of one prompt and noise, and what they cost.

    Attributes:
        images: [M, F, H, W, 3] uint8, quantised as diffusers quantises PIL images: ``round(255 x)``.
        forwards_requested: transformer forwards that one pipeline call per schedule would have computed.
        forwards_executed: forwards that ran, one per distinct computed prefix.
        seconds: time of the whole, text encoding excluded.
    """

    images: npt.NDArray[np.uint8]
    forwards_requested: int
    forwards_executed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GatedGeneration:
    """The picture of one generation under a gate, and the schedule that arose."""

    generation: Generation
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture among others of a batch.

    Attributes:
        embeddings: what ``adapter.encode`` gives for its prompt.
        noise_seed: seed of its starting noise.
        schedule: of the model's T.
    """

    embeddings: Mapping[str, Tensor]
    noise_seed: int
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class DrawnBatch:
    """The pictures of a batch of drawings.

    Attributes:
        images: [M, F, H, W, 3] uint8, as of :class:`Generation`.
        computed_steps: of each drawing, counted while it ran.
        forwards_executed: that ran for each drawing; one that several share counts for the first of them.
        seconds: time of the whole, text encoding excluded.
    """

    images: npt.NDArray[np.uint8]
    computed_steps: tuple[int, ...]
    forwards_executed: tuple[int, ...]
    seconds: float


def embedded_shapes(embeddings: Mapping[str, Tensor]) -> tuple[tuple[int, ...], ...]:
    """What embeddings must have in common to make one batch; some pipelines do not pad prompts."""
    return tuple(tuple(embeddings[name].shape) for name in sorted(embeddings))


class UnusableGenerationError(RecacheError):
    """A generation gave no picture that a reward could be taken from.

    Attributes:
        schedules: those that failed; siblings of the same batch may be fine.
        noise_seed: seed of the starting noise.
        prompt: text, where known.
    """

    fault = "generation is not usable"
    remedy = "try another prompt"

    def __init__(self, schedules: Sequence[Schedule], noise_seed: int, prompt: str = "") -> None:
        self.schedules = tuple(schedules)
        self.noise_seed = noise_seed
        self.prompt = prompt
        subject = f"prompt {prompt!r}, " if prompt else ""
        masks = ", ".join(str(schedule) for schedule in self.schedules[:4])
        more = f" and {len(self.schedules) - 4} more" if len(self.schedules) > 4 else ""
        super().__init__(f"{self.fault}: {subject}noise seed {noise_seed}, schedule {masks}{more}; {self.remedy}")


class NonFiniteGenerationError(UnusableGenerationError):
    """A generation ended in NaN or infinity: its schedule is unusable for this prompt and noise."""

    fault = "generation is not finite"
    remedy = "compute more steps, lower mechanism.order or use model.dtype=float32"


class BlankGenerationError(UnusableGenerationError):
    """An uncached generation is one colour throughout, as overflows in half precision make it: no reference."""

    fault = "uncached generation is blank, every frame of it one colour"
    remedy = "use model.dtype=bfloat16 or float32, or another prompt"


class ModelAdapter(Protocol):
    """One diffusion model behind its own diffusers pipeline."""

    @property
    def spec(self) -> ModelSpec:
        """The model and protocol, as recorded beside schedules."""
        ...

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline; its ``__call__`` is the sampling loop."""
        ...

    @property
    def transformer(self) -> nn.Module:
        """The denoiser whose block stack is cached."""
        ...

    def identity(self) -> dict[str, str | int | float]:
        """Everything that determines a generation besides prompt, noise seed, schedule and mechanism."""
        ...

    def encode(self, text: str) -> dict[str, Tensor]:
        """Embed one prompt: unbatched CPU tensors by name, loading the text encoders if needed."""
        ...

    def release_text_encoders(self) -> None:
        """Free the text encoders; :meth:`encode` loads them again."""
        ...

    def run(
        self,
        embeddings: Mapping[str, Tensor],
        noise_seed: int,
        schedules: Sequence[Schedule],
        mechanism: CachingMechanism | None = None,
    ) -> Generation:
        """Generate every schedule from the same prompt and noise in one pipeline call.

        Without a mechanism the one schedule must be full, and the pipeline runs untouched.

        Raises:
            BadInputError: if a schedule's T is not the model's, a cached step has no mechanism, or the pipeline does
                something else than the spec says.
            NonFiniteGenerationError: if any result is NaN or infinite.
            BlankGenerationError: if an uncached result is one colour throughout.
        """
        ...

    def run_drawings(self, drawings: Sequence[Drawing], mechanism: CachingMechanism) -> DrawnBatch:
        """Generate pictures of different prompts, noises and schedules in one pipeline call.

        Raises:
            BadInputError: as :meth:`run`, or if there are none, or their embeddings differ in shape.
            NonFiniteGenerationError: if any result is NaN or infinite.
            BlankGenerationError: if an uncached result is one colour throughout.
        """
        ...

    def run_gated(
        self, embeddings: Mapping[str, Tensor], noise_seed: int, gate: Gate, mechanism: GatedMechanism
    ) -> GatedGeneration:
        """Generate one picture whose computed steps the gate chooses as it goes.

        Raises:
            NonFiniteGenerationError: if the result is NaN or infinite.
        """
        ...
