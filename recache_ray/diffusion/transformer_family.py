"""How to call each class of transformer with shapes alone, and which of its modules a cached step leaves out.

Shapes: N image tokens, L text tokens, C latent channels, f x h x w latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recache_ray.diffusion.architecture import Architecture, LatentGrid
from recache_ray.errors import BadInputError

Config = Mapping[str, Any]
_WIDTH = ("num_attention_heads", "attention_head_dim")


@dataclass(frozen=True)
class TransformerFamily:
    """What a transformer class must say about itself to be counted.

    Attributes:
        depths: its block lists, in the order they run, each with the configuration key of its length.
        idle: modules besides the blocks that a cached step leaves out.
        patch: latents per token along frames, height and width.
        inputs: arguments of a forward of one row without data: latents, text tokens.
    """

    depths: Mapping[str, str]
    idle: tuple[str, ...]
    patch: Callable[[Config], tuple[int, int, int]]
    inputs: Callable[[Config, LatentGrid, int], dict[str, Tensor]]

    def image_tokens(self, config: Config, grid: LatentGrid) -> int:
        """N.

        Raises:
            BadInputError: if the latents do not divide into patches.
        """
        patch = self.patch(config)
        for name, latents, each in zip(
            ("frames", "height", "width"), (grid.frames, grid.height, grid.width), patch, strict=True
        ):
            if latents % each:
                raise BadInputError(f"{name}: {latents} latents do not divide into patches of {each}")
        return (grid.frames // patch[0]) * (grid.height // patch[1]) * (grid.width // patch[2])


def family_of(architecture: Architecture) -> TransformerFamily:
    """The family of an architecture's transformer.

    Raises:
        BadInputError: if its class is not known; names the ones that are.
    """
    family = _FAMILIES.get(architecture.transformer)
    if family is None:
        raise BadInputError(
            f"{architecture.name}: the cost of a {architecture.transformer} is not known; "
            f"known classes: {', '.join(_FAMILIES)}"
        )
    missing = [key for key in (*family.depths.values(), *_WIDTH) if key not in architecture.config]
    if missing:
        raise BadInputError(
            f"{architecture.name}: the configuration of its {architecture.transformer} lacks {', '.join(missing)}; "
            "save it again with this release of diffusers"
        )
    return family


def width_of(config: Config) -> int:
    """D, features of an image token between blocks."""
    return int(config[_WIDTH[0]]) * int(config[_WIDTH[1]])


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def _flux_inputs(config: Config, grid: LatentGrid, text_tokens: int) -> dict[str, Tensor]:
    image_tokens = (grid.height // 2) * (grid.width // 2)
    inputs = {
        "hidden_states": _empty(1, image_tokens, config["in_channels"]),
        "encoder_hidden_states": _empty(1, text_tokens, config["joint_attention_dim"]),
        "pooled_projections": _empty(1, config["pooled_projection_dim"]),
        "timestep": _empty(1),
        "img_ids": _empty(image_tokens, 3),
        "txt_ids": _empty(text_tokens, 3),
    }
    return {**inputs, "guidance": _empty(1)} if config["guidance_embeds"] else inputs


def _wan_inputs(config: Config, grid: LatentGrid, text_tokens: int) -> dict[str, Tensor]:
    return {
        "hidden_states": _empty(1, config["in_channels"], grid.frames, grid.height, grid.width),
        "timestep": _empty(1),
        "encoder_hidden_states": _empty(1, text_tokens, config["text_dim"]),
    }


def _hunyuan_inputs(config: Config, grid: LatentGrid, text_tokens: int) -> dict[str, Tensor]:
    inputs = {
        "hidden_states": _empty(1, config["in_channels"], grid.frames, grid.height, grid.width),
        "timestep": _empty(1),
        "encoder_hidden_states": _empty(1, text_tokens, config["text_embed_dim"]),
        "encoder_attention_mask": _empty(1, text_tokens),
        "pooled_projections": _empty(1, config["pooled_projection_dim"]),
    }
    return {**inputs, "guidance": _empty(1)} if config["guidance_embeds"] else inputs


_FAMILIES: Mapping[str, TransformerFamily] = {
    "FluxTransformer2DModel": TransformerFamily(
        depths={"transformer_blocks": "num_layers", "single_transformer_blocks": "num_single_layers"},
        idle=("context_embedder", "pos_embed"),
        patch=lambda config: (1, 2, 2),  # packed by the pipeline
        inputs=_flux_inputs,
    ),
    "WanTransformer3DModel": TransformerFamily(
        depths={"blocks": "num_layers"},
        idle=("condition_embedder.text_embedder", "rope"),
        patch=lambda config: tuple(config["patch_size"]),
        inputs=_wan_inputs,
    ),
    "HunyuanVideoTransformer3DModel": TransformerFamily(
        depths={"transformer_blocks": "num_layers", "single_transformer_blocks": "num_single_layers"},
        idle=("context_embedder", "rope"),
        patch=lambda config: (config["patch_size_t"], config["patch_size"], config["patch_size"]),
        inputs=_hunyuan_inputs,
    ),
}
