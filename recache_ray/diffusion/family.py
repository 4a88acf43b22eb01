"""What one family of pipelines must say about itself; ``diffusion/models`` holds one file for each.

Shapes: L text tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from recache_ray.caching.cut import StackEntry
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.guidance import GuidanceMode
from recache_ray.errors import BadInputError

Pipeline = Any
"""A diffusers pipeline; diffusers' classes carry no types."""


@dataclass(frozen=True)
class ModelFamily:
    """Everything special about a diffusers pipeline; the adapter does the rest.

    Attributes:
        kind: value of ``model.kind``.
        pipeline_class: name of the diffusers class, as ``model_index.json`` gives it.
        transformer_class: name of the class of its ``transformer``.
        stack: how that transformer is cut.
        text_components: what only :attr:`encode` needs; left out where prompts are embedded already.
        encode: from a pipeline with text encoders, a prompt and the settings to the pipeline arguments that carry the
            prompt, by name, each with a batch of one; with classifier-free guidance those of the negative prompt too.
        guidance_mode: what a step does where guidance is on.
        size_multiple: pixels that height and width must be a multiple of.
        frame_multiple: the number of frames must be 1 more than a multiple of this; None for images.
        guidance_argument: the pipeline argument that takes ``model.guidance_scale``.
        arguments: further pipeline arguments, the same in every call.
        vae_dtype: of the autoencoder where it must not be ``model.dtype``; empty where it may.
        max_text_tokens: longest prompt that the pipeline takes.
    """

    kind: str
    pipeline_class: str
    transformer_class: str
    stack: StackEntry
    text_components: tuple[str, ...]
    encode: Callable[[Pipeline, str, ModelConfig], Mapping[str, Tensor | None]]
    guidance_mode: GuidanceMode
    size_multiple: Callable[[Pipeline], int]
    max_text_tokens: int
    frame_multiple: Callable[[Pipeline], int] | None = None
    guidance_argument: str = "guidance_scale"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    vae_dtype: str = ""

    @property
    def is_video(self) -> bool:
        """Whether its samples are videos."""
        return self.frame_multiple is not None

    def guidance(self, section: ModelConfig) -> GuidanceMode:
        """What a step does under these settings: classifier-free guidance is on above 1."""
        if self.guidance_mode is GuidanceMode.EMBEDDED or is_guided(section):
            return self.guidance_mode
        return GuidanceMode.NONE

    def check_sizes(self, section: ModelConfig, pipeline: Pipeline) -> None:
        """Refuse sizes that the pipeline would change on its own.

        Raises:
            BadInputError: naming the setting and its bound.
        """
        multiple = self.size_multiple(pipeline)
        for name in ("height", "width"):
            if getattr(section, name) % multiple:
                raise BadInputError(f"model.{name} = {getattr(section, name)}: must be a multiple of {multiple} pixels")
        if self.frame_multiple is None:
            if section.frames != 1:
                raise BadInputError(f"model.frames = {section.frames}: {self.pipeline_class} makes images; set 1")
        elif (section.frames - 1) % (frames := self.frame_multiple(pipeline)):
            raise BadInputError(f"model.frames = {section.frames}: must be 1 more than a multiple of {frames}")
        if section.max_text_tokens > self.max_text_tokens:
            raise BadInputError(
                f"model.max_text_tokens = {section.max_text_tokens}: must be at most {self.max_text_tokens} for "
                f"{self.pipeline_class}"
            )


def is_guided(section: ModelConfig) -> bool:
    """Whether classifier-free guidance is on, in diffusers' convention."""
    return section.guidance_scale > 1
