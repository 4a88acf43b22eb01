"""The architecture of the configured model, before anything is downloaded or loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recache_ray.config.model import ModelConfig
from recache_ray.config.root import Config
from recache_ray.diffusion.architecture import (
    Architecture,
    Size,
    architecture_names,
    architecture_of_folder,
    architecture_of_hub,
)
from recache_ray.diffusion.embedded import embedded_model
from recache_ray.errors import BadInputError


def known_architecture(section: ModelConfig) -> Architecture | None:
    """The architecture of a model in a local folder or of a published one; None for other hub models.

    Raises:
        BadInputError: if the folder is not one of a pipeline.
    """
    embedded = embedded_model(section.kind, section.path)
    folder = Path(section.path).expanduser() if embedded is None else embedded.folder
    if folder.is_dir():
        return architecture_of_folder(folder, section.max_text_tokens, forwards_per_step=_forwards_per_step(section))
    published = architecture_of_hub(section.path)
    return None if published is None else replace(published, text_tokens=section.max_text_tokens)


def configured_architecture(config: Config) -> Architecture:
    """As :func:`known_architecture`, where nothing can be said without one.

    Raises:
        BadInputError: if the model is not known.
    """
    found = known_architecture(config.model)
    if found is None:
        raise BadInputError(
            f"model.path = {config.model.path!r}: its architecture is not known before it is downloaded; give a local "
            f"folder, or plan with plan.architecture set to one of {', '.join(architecture_names())}"
        )
    return found


def _forwards_per_step(section: ModelConfig) -> int:
    from recache_ray.diffusion.families import family_of

    return family_of(section.kind).guidance(section).evaluations


def configured_size(section: ModelConfig) -> Size:
    """What a generation makes."""
    return Size(section.height, section.width, section.frames)


def model_name(section: ModelConfig) -> str:
    """The name under which results of the model are recorded."""
    if not section.path:
        return section.kind
    return Path(section.path).resolve().name if Path(section.path).is_dir() else section.path
