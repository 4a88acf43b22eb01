"""Where to cut a transformer: its ordered blocks, and how image tokens enter and leave them.

Shapes: R batch rows, N image tokens, D features.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.utils.torch_utils import unwrap_module
from torch import Tensor, nn

from recache_ray.errors import BadInputError


@dataclass(frozen=True)
class StackEntry:
    """What a transformer class must say about itself.

    Attributes:
        blocks: its blocks in the order they run.
        batched: forward arguments whose first dimension is the batch.
        shared: forward arguments that are the same for every row.
        block_inputs: modules read by the blocks alone, in the order they are called, whose first argument may stand
            for their result while the blocks are bypassed.
        ends: the module that takes the latents as its last argument, called before any block, and the one that gives
            the velocity, called last.
        modulated: from the first block, its image tokens and its timestep embedding to the tokens its attention reads.
        time_argument: the block's argument that carries the timestep embedding.
    """

    blocks: Callable[[Any], Iterable[nn.Module]]
    batched: frozenset[str]
    shared: frozenset[str]
    block_inputs: Callable[[Any], Iterable[nn.Module]]
    ends: Callable[[Any], tuple[nn.Module, nn.Module]]
    modulated: Callable[[Any, Tensor, Tensor], Tensor]
    time_argument: str = "temb"


_ENTRIES: dict[str, StackEntry] = {}


def register_stack(class_name: str, entry: StackEntry) -> None:
    """Make the transformers of a class, and of what derives from it, known to :func:`block_stack`.

    Classes go by name, so that knowing a model does not mean importing it.
    """
    _ENTRIES[class_name] = entry


@dataclass(frozen=True)
class BlockStack:
    """The blocks of one transformer instance, between the embedders and the final norm.

    Attributes:
        transformer: the instance, unwrapped from any compilation or parallelism.
        blocks: in the order they run.
        block_inputs: modules that only prepare input of the blocks; idle at a cached step.
        ends: the module that takes the latents, called first, and the one that gives the velocity, called last.
    """

    transformer: nn.Module
    blocks: tuple[nn.Module, ...]
    block_inputs: tuple[nn.Module, ...]
    ends: tuple[nn.Module, nn.Module]
    _ports: tuple[TransformerBlockMetadata, ...]
    _entry: StackEntry
    _parameters: tuple[str, ...]

    def image_tokens_in(self, index: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        """The image tokens [R, N, D] among the arguments of block ``index``."""
        port = self._ports[index]
        return port._get_parameter_from_args_kwargs(port.hidden_states_argument_name, args, kwargs)

    def image_tokens_out(self, index: int, output: Any) -> Tensor:
        """The image tokens [R, N, D] in the output of block ``index``."""
        port = self._ports[index]
        return output if port.return_encoder_hidden_states_index is None else output[port.return_hidden_states_index]

    def modulated_input(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        """The image tokens [R, N, D] of a call of block 0 after its timestep-dependent norm, as its attention reads."""
        temb = self._ports[0]._get_parameter_from_args_kwargs(self._entry.time_argument, args, kwargs)
        return self._entry.modulated(self.blocks[0], self.image_tokens_in(0, args, kwargs), temb)

    def bypass(self, index: int, args: tuple[Any, ...], kwargs: Mapping[str, Any], image_tokens: Tensor) -> Any:
        """What block ``index`` would return if it let text tokens pass and gave these image tokens."""
        port = self._ports[index]
        if port.return_encoder_hidden_states_index is None:
            return image_tokens
        text_tokens = port._get_parameter_from_args_kwargs(port.encoder_hidden_states_argument_name, args, kwargs)
        return (text_tokens, image_tokens) if port.return_hidden_states_index == 1 else (image_tokens, text_tokens)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a transformer call, all by name."""
        return {**dict(zip(self._parameters, args, strict=False)), **kwargs}

    def select_rows(self, arguments: Mapping[str, Any], rows: Tensor) -> dict[str, Any]:
        """The arguments of the same call for some batch rows only.

        Raises:
            BadInputError: if an argument is set of which it is not known whether it has a row per sibling.
        """
        chosen: dict[str, Any] = {}
        for name, value in arguments.items():
            if name in self._entry.batched and isinstance(value, Tensor):
                chosen[name] = value.index_select(0, rows)
            elif name in self._entry.shared or value is None or (isinstance(value, Mapping) and not value):
                chosen[name] = value
            else:
                raise BadInputError(
                    f"{type(self.transformer).__name__} argument {name}: cannot be split between siblings with "
                    "different schedules; generate them one at a time"
                )
        return chosen


def block_stack(transformer: nn.Module) -> BlockStack:
    """Find the block stack of a transformer instance by its class.

    Raises:
        BadInputError: if the class is not known; names the ones that are.
    """
    model = unwrap_module(transformer)
    entry = next((_ENTRIES[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in _ENTRIES), None)
    if entry is None:
        raise BadInputError(
            f"transformer {type(model).__name__}: cannot be cached; known classes: {', '.join(_ENTRIES)}; "
            "docs/adapters.md says how to add one"
        )
    blocks = tuple(entry.blocks(model))
    return BlockStack(
        transformer=model,
        blocks=blocks,
        block_inputs=tuple(entry.block_inputs(model)),
        ends=entry.ends(model),
        _ports=tuple(TransformerBlockRegistry.get(type(unwrap_module(block))) for block in blocks),
        _entry=entry,
        _parameters=tuple(inspect.signature(type(model).forward).parameters)[1:],
    )
