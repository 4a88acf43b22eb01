"""The shapes of a diffusion model without its weights: committed for published models, read from a folder for others.

Everything here comes from small JSON files; neither torch nor a network is needed.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from recache_ray.errors import BadInputError

_FOLDER = Path(__file__).parent / "architectures"
_FACTORS = (
    ("scale_factor_spatial", "scale_factor_temporal"),
    ("spatial_compression_ratio", "temporal_compression_ratio"),
)
"""Names under which autoencoders of videos give pixels and frames per latent."""


@dataclass(frozen=True, slots=True)
class Size:
    """What one generation makes: ``frames`` (1 for a picture) of ``height`` x ``width`` pixels."""

    height: int
    width: int
    frames: int = 1

    def __str__(self) -> str:
        return f"{self.width}x{self.height}" + (f"x{self.frames}" if self.frames > 1 else "")


@dataclass(frozen=True, slots=True)
class LatentGrid:
    """Size of the latents: one frame for a picture."""

    frames: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class PublishedSettings:
    """The protocol the model's authors and the caching literature report on."""

    size: Size
    num_steps: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Architecture:
    """What determines the cost of a forward.

    Attributes:
        name: file name among the committed ones, or the folder's name.
        transformer: its diffusers class.
        config: keyword arguments of that class.
        vae_spatial: pixels per latent, along height and width.
        vae_temporal: frames per latent after the first.
        text_tokens: length of the prompt embedding.
        forwards_per_step: transformer calls a step makes, 2 with classifier-free guidance.
        summary: one line about it; empty for a folder.
        published: the usual protocol; None for a folder.
    """

    name: str
    transformer: str
    config: Mapping[str, Any]
    vae_spatial: int
    vae_temporal: int
    text_tokens: int
    forwards_per_step: int
    summary: str = ""
    published: PublishedSettings | None = None

    def latents(self, size: Size) -> LatentGrid:
        """The latents of a generation.

        Raises:
            BadInputError: if the autoencoder cannot make this size: pixels a multiple of ``vae_spatial``, frames one
                more than a multiple of ``vae_temporal``.
        """
        for name, value in (("height", size.height), ("width", size.width)):
            if value < 1 or value % self.vae_spatial:
                raise BadInputError(f"{self.name}: {name} = {value} must be a multiple of {self.vae_spatial} pixels")
        if size.frames < 1 or (size.frames - 1) % self.vae_temporal:
            raise BadInputError(
                f"{self.name}: frames = {size.frames} must be a multiple of {self.vae_temporal} plus 1, for example "
                f"{(max(size.frames, 1) - 1) // self.vae_temporal * self.vae_temporal + 1}"
            )
        frames = (size.frames - 1) // self.vae_temporal + 1
        return LatentGrid(frames, size.height // self.vae_spatial, size.width // self.vae_spatial)


@cache
def architecture_names() -> tuple[str, ...]:
    """The committed architectures, sorted."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


@cache
def architecture(name: str) -> Architecture:
    """A committed architecture.

    Raises:
        BadInputError: if there is none of this name; lists those there are.
    """
    if name not in architecture_names():
        close = difflib.get_close_matches(name, architecture_names(), n=1)
        guess = f"; did you mean {close[0]}?" if close else ""
        raise BadInputError(f"architecture {name!r}: must be one of {', '.join(architecture_names())}{guess}")
    values = _document(name)
    published = values["published"]
    return Architecture(
        name=name,
        transformer=values["transformer"],
        config=values["transformer_config"],
        vae_spatial=values["vae_spatial"],
        vae_temporal=values["vae_temporal"],
        text_tokens=values["text_tokens"],
        forwards_per_step=values["forwards_per_step"],
        summary=values["summary"],
        published=PublishedSettings(
            Size(published["height"], published["width"], published["frames"]),
            published["num_steps"],
            published["dtype"],
        ),
    )


def architecture_of_hub(hub_id: str) -> Architecture | None:
    """The committed architecture of a hub model, if it is one of them."""
    for name in architecture_names():
        if hub_id.lower() in (known.lower() for known in _document(name)["hub_ids"]):
            return architecture(name)
    return None


def architecture_of_folder(folder: Path, text_tokens: int, *, forwards_per_step: int = 1) -> Architecture:
    """The architecture of a pipeline that ``save_pretrained`` wrote, from its two small ``config.json``.

    Args:
        folder: with ``transformer/config.json`` and ``vae/config.json``, of an ``AutoencoderKL`` or of an autoencoder
            that states its factors, as those of Wan and HunyuanVideo do.
        text_tokens: length the prompt is padded to.
        forwards_per_step: transformer calls a step makes.

    Raises:
        BadInputError: if a file is missing or damaged, or the autoencoder is of another class.
    """
    transformer, vae = _config(folder / "transformer"), _config(folder / "vae")
    factors = next(((vae[s], vae[t]) for s, t in _FACTORS if s in vae and t in vae), None)
    if factors is None and vae.get("_class_name") == "AutoencoderKL":
        factors = (2 ** (len(vae["block_out_channels"]) - 1), 1)
    if factors is None:
        raise BadInputError(
            f"{folder / 'vae'}: is a {vae.get('_class_name')} that does not state its factors; name a known "
            f"architecture instead, one of {', '.join(architecture_names())}"
        )
    return Architecture(
        name=folder.name,
        transformer=str(transformer.get("_class_name")),
        config={name: value for name, value in transformer.items() if not name.startswith("_")},
        vae_spatial=factors[0],
        vae_temporal=factors[1],
        text_tokens=text_tokens,
        forwards_per_step=forwards_per_step,
    )


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def _config(folder: Path) -> dict[str, Any]:
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{folder / 'config.json'}: cannot be read ({error}); give a folder written by save_pretrained"
        ) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{folder / 'config.json'}: is no configuration; give a folder written by save_pretrained")
    return values
