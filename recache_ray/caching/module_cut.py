"""The cut per module: what attention and MLP of every block give, before the gate of the current step is applied.

Shapes: R batch rows, N tokens, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diffusers.models.transformers.transformer_flux import FluxSingleTransformerBlock, FluxTransformerBlock
from diffusers.utils.torch_utils import unwrap_module
from torch import Tensor, nn

from recache_ray.caching.cut import BlockStack
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.errors import BadInputError


class PerModule:
    """Applies a rule to every module's output instead of the residual of the whole stack.

    FORA (arXiv 2407.01425) is reuse so applied; TaylorSeer and HiCache are published so. What surrounds the modules
    runs at cached steps too: the modulation by the timestep, the norms and gates, the text embedder. Memory is that of
    the rule for every module, some hundred times that of the whole stack on FLUX.1.

    Args:
        rule: what one module's output is forecast by.
    """

    def __init__(self, rule: CachingMechanism) -> None:
        self.rule = rule
        self.id = f"{rule.id}_modules"

    def reset(self) -> FeatureHistory:
        """The empty history of one module."""
        return self.rule.reset()

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """One module's history after computing ``step``, with its output [R, N, D]."""
        return self.rule.update(history, step, feature)

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """One module's output [R, N, D] at cached ``step``."""
        return self.rule.predict(history, step)


@dataclass(frozen=True)
class _BlockEntry:
    """What a block class must say about itself.

    Attributes:
        cached: modules whose output is forecast, in the order they run, and how many tensors each gives.
        idle: modules that only cached ones read, which therefore need not run.
    """

    cached: Mapping[str, int]
    idle: tuple[str, ...] = ()


_ENTRIES: Mapping[type[Any], _BlockEntry] = {
    FluxTransformerBlock: _BlockEntry(cached={"attn": 2, "ff": 1, "ff_context": 1}),
    FluxSingleTransformerBlock: _BlockEntry(cached={"proj_out": 1}, idle=("proj_mlp", "attn")),
}


@dataclass(frozen=True, slots=True)
class CachedModule:
    """A module of the cut.

    Attributes:
        module: the instance.
        outputs: how many tensors it gives; 0 for one that is idle at cached steps.
    """

    module: nn.Module
    outputs: int


def cached_modules(stack: BlockStack) -> Iterator[CachedModule]:
    """The modules of every block, in the order they run.

    Raises:
        BadInputError: if a block's class is not known; names the ones that are.
    """
    for block in stack.blocks:
        inner = unwrap_module(block)
        entry = next((entry for cls, entry in _ENTRIES.items() if isinstance(inner, cls)), None)
        if entry is None:
            known = ", ".join(cls.__name__ for cls in _ENTRIES)
            raise BadInputError(
                f"block {type(inner).__name__}: cannot be cached per module; known classes: {known}; set "
                "mechanism.cut=stack"
            )
        for name in entry.idle:
            yield CachedModule(inner.get_submodule(name), 0)
        for name, outputs in entry.cached.items():
            yield CachedModule(inner.get_submodule(name), outputs)
