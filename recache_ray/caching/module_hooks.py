"""Hooks inside the blocks, for mechanisms that forecast every module's output.

Shapes: R batch rows, N tokens, D features.
"""

from __future__ import annotations

from typing import Any, Protocol

from diffusers.hooks.hooks import ModelHook
from torch import Tensor, nn

from recache_ray.caching.cut import BlockStack
from recache_ray.caching.module_cut import cached_modules
from recache_ray.caching.stack_hooks import DriverHook, StackDriver
from recache_ray.caching.stack_pass import Slot
from recache_ray.errors import BadInputError


class ModuleDriver(StackDriver, Protocol):
    """What decides between computing and predicting, for every module of a transformer call."""

    def enter(self, batch_rows: int) -> None:
        """The first module is called, on this many batch rows."""
        ...

    def learn(self, slot: Slot, leaves: Tensor, enters: Tensor | None = None) -> None:
        """A tensor [R, ...] was computed; less ``enters`` [R, ...], if given, it is what is forecast later."""
        ...

    def forecast(self, slot: Slot) -> Tensor:
        """The tensor of a module that does not run, [R, ...]."""
        ...

    def finish(self) -> None:
        """The last module was called."""
        ...


def module_hooks(driver: ModuleDriver, stack: BlockStack, begins: bool) -> list[tuple[nn.Module, ModelHook]]:
    """One hook for every module of the cut.

    Args:
        driver: asked at every call.
        stack: the blocks.
        begins: whether the first of them begins the transformer call.

    Raises:
        BadInputError: if a block's class is not known.
    """
    modules = list(cached_modules(stack))
    return [
        (
            found.module,
            _ModuleHook(
                driver,
                place,
                found.outputs,
                first=place == 0,
                last=place == len(modules) - 1,
                entry=begins and not place,
            ),
        )
        for place, found in enumerate(modules)
    ]


class _ModuleHook(DriverHook):
    """On one module; ``entry`` is as for the hooks on blocks."""

    def __init__(self, driver: ModuleDriver, place: int, outputs: int, *, first: bool, last: bool, entry: bool) -> None:
        super().__init__(driver, entry)
        self._driver = driver
        self._place = place
        self._outputs = outputs
        self._first = first
        self._last = last
        self._entry = entry

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        original: Any = self.fn_ref.original_forward
        driver = self._driver
        if self._entry:
            driver.begin(self.context_name)
        if driver.computing is None:
            return original(*args, **kwargs)
        tokens: Tensor = args[0] if args else kwargs["hidden_states"]
        if self._first:
            driver.enter(tokens.shape[0])
        output = self._computed(module, original(*args, **kwargs)) if driver.computing else self._forecast(tokens)
        if self._last:
            driver.finish()
        return output

    def _computed(self, module: nn.Module, output: Any) -> Any:
        tensors = output if isinstance(output, tuple) else (output,)
        if self._outputs and len(tensors) != self._outputs:
            raise BadInputError(
                f"{type(module).__name__}: gave {len(tensors)} tensors instead of {self._outputs}, as with an "
                "image-prompt adapter; set mechanism.cut=stack"
            )
        for number, tensor in enumerate(tensors[: self._outputs]):
            self._driver.learn((self._place, number), tensor)
        return output

    def _forecast(self, tokens: Tensor) -> Any:
        if self._outputs == 0:  # nobody reads it, but it is concatenated to something along the features
            return tokens.new_empty(*tokens.shape[:-1], 0)
        tensors = tuple(self._driver.forecast((self._place, number)) for number in range(self._outputs))
        return tensors if self._outputs > 1 else tensors[0]
