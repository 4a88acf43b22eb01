"""Which prompts a run works on, and from which noise."""

from __future__ import annotations

import random
from collections.abc import Iterable

from recache_ray.config.root import Config
from recache_ray.prompts import PromptSet
from recache_ray.seeding import derive_seed
from recache_ray.types import GenerationRequest, Prompt

_CAPTION_POOL = 2048


def prompt_set(config: Config) -> PromptSet:
    """The run's prompts, split into train, validation and test.

    Raises:
        BadInputError: if the prompt file cannot be used.
    """
    if config.prompts.file:
        return PromptSet.from_file(config.prompts, config.run.seed)
    return PromptSet.from_captions(_shapes_captions(), config.prompts, config.run.seed)


def requests_of(prompts: Iterable[Prompt]) -> tuple[GenerationRequest, ...]:
    """One request per prompt. The noise depends on the prompt alone, so runs of any seed share references."""
    return tuple(GenerationRequest(prompt, noise_seed=derive_seed("noise", prompt.text)) for prompt in prompts)


def _shapes_captions() -> list[str]:
    """Distinct captions of the embedded model, always the same, in an order without meaning."""
    from recache_ray.diffusion.shapes.scene import caption, sample_scene

    generator = random.Random(derive_seed("captions"))
    captions: dict[str, None] = {}
    while len(captions) < _CAPTION_POOL:
        captions[caption(sample_scene(generator, held_out=False))] = None
    return list(captions)
