"""FLOPs of a transformer forward from its architecture alone: no weights, no data, no GPU.

The transformer is built on the meta device with one block of each kind; a block's count is multiplied by their number.
As in the caching literature a multiply-add is two operations, attention products are counted, elementwise work,
text encoders and autoencoder are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recache_ray.caching.footprint import Footprint
from recache_ray.diffusion.architecture import Architecture, Size
from recache_ray.diffusion.cost import StepCost
from recache_ray.diffusion.transformer_family import TransformerFamily, family_of, width_of
from recache_ray.errors import BadInputError


@dataclass(frozen=True, slots=True)
class TransformerShape:
    """Sizes that decide how much memory a model takes.

    Attributes:
        image_tokens: N, tokens whose residual is cached.
        width: D, features of each.
        parameters: of the transformer.
    """

    image_tokens: int
    width: int
    parameters: int


@dataclass(frozen=True, slots=True)
class ForwardCost:
    """One transformer call for one row.

    Attributes:
        flops: of a computed call.
        attention_flops: of these, the products of queries, keys and values.
        cached_flops: of a call whose blocks are bypassed: embedders, final norm and projection.
        probe_flops: what a mechanism that looks at the first block adds to a cached call.
    """

    flops: float
    attention_flops: float
    cached_flops: float
    probe_flops: float


def transformer_shape(architecture: Architecture, size: Size) -> TransformerShape:
    """Tokens, features and parameters, without running anything.

    Raises:
        BadInputError: as :func:`count_forward`.
    """
    family = family_of(architecture)
    model = _shallow(architecture, family)
    parameters = _size(model)
    for blocks, key in family.depths.items():
        parameters += (architecture.config[key] - 1) * _size(model.get_submodule(f"{blocks}.0"))
    return TransformerShape(
        image_tokens=family.image_tokens(architecture.config, architecture.latents(size)),
        width=width_of(architecture.config),
        parameters=parameters,
    )


def count_forward(architecture: Architecture, size: Size) -> ForwardCost:
    """Count one forward of ``size``; seconds even for the largest models.

    Args:
        architecture: of the model.
        size: of a generation.

    Raises:
        BadInputError: if the transformer's class is not known, its configuration is not one of that class, or the
            size does not fit.
    """
    family = family_of(architecture)
    config = architecture.config
    grid = architecture.latents(size)
    family.image_tokens(config, grid)
    inputs = family.inputs(config, grid, architecture.text_tokens)
    model = _shallow(architecture, family)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**inputs)
    root = type(model).__name__
    by_module = counter.get_flop_counts()
    whole, whole_attention = _sums(by_module["Global"])
    flops, attention, between = whole, whole_attention, whole
    for blocks, key in family.depths.items():
        block, block_attention = _sums(by_module[f"{root}.{blocks}.0"])
        flops += (config[key] - 1) * block
        attention += (config[key] - 1) * block_attention
        between -= block
    first, _ = _sums(by_module[f"{root}.{next(blocks for blocks, key in family.depths.items() if config[key])}.0"])
    idle = sum(_sums(by_module.get(f"{root}.{name}", {}))[0] for name in family.idle)
    return ForwardCost(
        flops=flops,
        attention_flops=attention,
        cached_flops=between - idle,
        probe_flops=first + idle,
    )


def planned_step(cost: ForwardCost, forwards_per_step: int, footprint: Footprint, flops_per_second: float) -> StepCost:
    """The cost of a step before anything was measured: counted FLOPs, and the seconds they take at a given speed.

    A forecast itself is elementwise, and by the convention above free.

    Args:
        cost: of a forward.
        forwards_per_step: transformer calls a step makes.
        footprint: of the mechanism.
        flops_per_second: what the device sustains, assumed.
    """
    computed = forwards_per_step * cost.flops
    cached = forwards_per_step * (cost.cached_flops + (cost.probe_flops if footprint.probes else 0.0))
    return StepCost(computed, cached, computed / flops_per_second, cached / flops_per_second)


def build_on_meta(architecture: Architecture, config: Mapping[str, Any]) -> nn.Module:
    """The transformer with this configuration and no storage.

    Raises:
        BadInputError: if the configuration is not one of its class.
    """
    transformer_class = getattr(diffusers, architecture.transformer)
    try:
        with torch.device("meta"):
            return transformer_class(**config).eval()
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"{architecture.name}: not a configuration of {architecture.transformer} ({error}); "
            "use the diffusers release the pipeline was saved with"
        ) from error


def _shallow(architecture: Architecture, family: TransformerFamily) -> nn.Module:
    """The transformer with one block of each kind."""
    return build_on_meta(architecture, {**architecture.config, **dict.fromkeys(family.depths.values(), 1)})


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _sums(counts: Mapping[Any, int]) -> tuple[float, float]:
    """All FLOPs, and those of attention: the batched products, into which the meta device decomposes it."""
    attention = sum(flops for operation, flops in counts.items() if _is_attention(str(operation)))
    return float(sum(counts.values())), float(attention)


def _is_attention(operation: str) -> bool:
    return "bmm" in operation or "scaled_dot_product" in operation
