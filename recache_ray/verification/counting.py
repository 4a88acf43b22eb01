"""Counts the blocks that run in every transformer call, whatever wraps them."""

from __future__ import annotations

from typing import Any

from torch import nn

from recache_ray.verification.tiny_pipelines import TinyPipeline


class BlockCounter:
    """How many blocks computed in each transformer call; create it before the library attaches itself.

    A block is counted in its first linear layer, which no library replaces: a hook that skips the block skips it too.

    Attributes:
        calls: blocks computed per transformer call, in order.
        num_blocks: blocks of the model.
    """

    def __init__(self, tiny: TinyPipeline) -> None:
        transformer = tiny.pipe.transformer
        blocks = [block for name in tiny.block_lists for block in getattr(transformer, name)]
        self.num_blocks = len(blocks)
        self.calls: list[int] = []
        for block in blocks:
            first = next(module for module in block.modules() if isinstance(module, nn.Linear))
            first.register_forward_pre_hook(self._block_runs)
        # every call embeds its timestep once, cached or not
        transformer.get_submodule(_embedding(transformer)).register_forward_pre_hook(self._call_begins)

    def _call_begins(self, *_: Any) -> None:
        self.calls.append(0)

    def _block_runs(self, *_: Any) -> None:
        self.calls[-1] += 1


def _embedding(transformer: nn.Module) -> str:
    return next(name for name in ("time_text_embed", "condition_embedder") if hasattr(transformer, name))
