"""Which prompts a run works on, and from which noise."""

from __future__ import annotations

import random
from collections.abc import Iterable

from recache_ray.config.root import Config
from recache_ray.diffusion.embedded import embedded_model
from recache_ray.errors import BadInputError
from recache_ray.prompts import PromptSet
from recache_ray.seeding import derive_seed
from recache_ray.types import GenerationRequest, Prompt

_CAPTION_POOL, _CAPTION_DRAWS = 2048, 4096
"""At most so many captions, of so many draws: the videos have a few hundred in all."""


def prompt_set(config: Config) -> PromptSet:
    """The run's prompts, split into train, validation and test.

    Raises:
        BadInputError: if the prompt file cannot be used.
    """
    if config.prompts.file:
        return PromptSet.from_file(config.prompts, config.run.seed)
    return PromptSet.from_captions(_embedded_captions(config.model.kind), config.prompts, config.run.seed)


def evaluation_requests(config: Config) -> tuple[GenerationRequest, ...]:
    """What schedules are compared on: ``evaluation.split`` and as many prompts of no split as asked for.

    Raises:
        BadInputError: if there are not that many, or the prompt file cannot be used.
    """
    prompts, asked = prompt_set(config), config.evaluation.further_prompts
    if asked > len(prompts.rest):
        raise BadInputError(
            f"evaluation.further_prompts = {asked}: {len(prompts.rest)} prompts are in no split; "
            "lower it, or add prompts"
        )
    chosen = prompts.split(config.evaluation.split)  # type: ignore[arg-type]
    return requests_of((*chosen, *prompts.rest[:asked]))


def requests_of(prompts: Iterable[Prompt]) -> tuple[GenerationRequest, ...]:
    """One request per prompt. The noise depends on the prompt alone, so runs of any seed share references."""
    return tuple(GenerationRequest(prompt, noise_seed=derive_seed("noise", prompt.text)) for prompt in prompts)


def _embedded_captions(kind: str) -> list[str]:
    """Distinct captions of the embedded model, always the same, in an order without meaning."""
    model = embedded_model(kind)
    assert model is not None, f"model.kind = {kind!r} without prompts.file passed the configuration's check"
    generator = random.Random(derive_seed("captions"))
    drawn = (model.sample_caption(generator) for _ in range(_CAPTION_DRAWS))
    return list(dict.fromkeys(drawn))[:_CAPTION_POOL]
