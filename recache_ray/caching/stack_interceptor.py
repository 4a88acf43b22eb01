"""What both interceptors have in common: they come on and go off a transformer instance, and forget generations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from torch import nn

from recache_ray.caching.clock import GenerationToken, StepClock
from recache_ray.caching.cut import block_stack
from recache_ray.caching.hook_set import HookSet, attached_hooks
from recache_ray.caching.stack_hooks import DriverHook


class StackInterceptor(ABC):
    """Base of what intercepts the block stack of one transformer instance; a context manager.

    Args:
        transformer: the instance to intercept; other instances of its class are not affected.
        num_steps: T.
        forwards_per_step: transformer calls per step of pipelines that do not name their guidance branches.
        generation: see :class:`~recache_ray.caching.clock.StepClock`.

    Raises:
        BadInputError: if the transformer's class is not known.
    """

    def __init__(
        self,
        transformer: nn.Module,
        num_steps: int,
        forwards_per_step: int = 1,
        generation: GenerationToken | None = None,
    ) -> None:
        self._stack = block_stack(transformer)
        self._clock = StepClock(num_steps, forwards_per_step, generation)
        self._hooks: HookSet = self._make_hooks()

    @abstractmethod
    def _make_hooks(self) -> HookSet:
        """The hooks of this interceptor, on the modules of ``self._stack``."""

    def attach(self) -> None:
        """Start intercepting.

        Raises:
            BadInputError: if a schedule or gate is already attached to this transformer.
        """
        self.reset()
        self._hooks.attach()

    def detach(self) -> None:
        """Stop intercepting and leave the transformer as it was; safe to call twice."""
        self._hooks.detach()
        self.reset()

    def reset(self) -> None:
        """Forget the generation under way; the next transformer call is the first of a new one."""
        self._clock.restart()

    def __enter__(self) -> Self:
        self.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.detach()


def attached_interceptor(transformer: nn.Module) -> StackInterceptor | None:
    """The interceptor attached to this transformer instance, if any."""
    hooks = attached_hooks(block_stack(transformer).transformer)
    drivers = (hook.driver for hook in hooks if isinstance(hook, DriverHook))
    return next((driver for driver in drivers if isinstance(driver, StackInterceptor)), None)
