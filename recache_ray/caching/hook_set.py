"""Hooks on several modules that come on together and go off without a trace, through diffusers' hook registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diffusers.hooks.hooks import HookRegistry, ModelHook
from torch import nn

from recache_ray.errors import BadInputError

HOOK_NAME = "recache_schedule"


def attached_hooks(root: nn.Module) -> Iterator[ModelHook]:
    """The hooks under :data:`HOOK_NAME` anywhere in a model."""
    for module in root.modules():
        registry: HookRegistry | None = getattr(module, "_diffusers_hook", None)
        hook = registry.get_hook(HOOK_NAME) if registry is not None else None
        if hook is not None:
            yield hook


class HookSet:
    """One hook per module under the name :data:`HOOK_NAME`.

    Args:
        root: the model the modules belong to.
        hooks: module and hook, at most one per module.
    """

    def __init__(self, root: nn.Module, hooks: Sequence[tuple[nn.Module, ModelHook]]) -> None:
        self._root = root
        self._hooks = tuple(hooks)
        self._attached: list[tuple[nn.Module, bool, bool]] = []

    def attach(self) -> None:
        """Put every hook on, or none.

        Raises:
            BadInputError: if any module of the model already has such a hook.
        """
        if next(attached_hooks(self._root), None) is not None:
            raise BadInputError(
                f"{type(self._root).__name__}: a schedule is already attached; end it with disable(pipe) first"
            )
        try:
            for module, hook in self._hooks:
                had_registry, had_forward = hasattr(module, "_diffusers_hook"), "forward" in vars(module)
                registry = HookRegistry.check_if_exists_or_initialize(module)
                registry.register_hook(hook, HOOK_NAME)
                self._attached.append((module, had_registry, had_forward))
        except BaseException:
            self.detach()
            raise
        self._forget_cached_registries()

    def detach(self) -> None:
        """Take off what is on; safe to call twice.

        The registry leaves the restored forward behind as an instance attribute, which a deep copy of the model would
        keep bound to the original. It is removed where nothing else needs it.
        """
        while self._attached:
            module, had_registry, had_forward = self._attached.pop()
            registry = HookRegistry.check_if_exists_or_initialize(module)
            registry.remove_hook(HOOK_NAME, recurse=False)
            if registry.hooks:
                continue
            if not had_forward:
                vars(module).pop("forward", None)
            if not had_registry:
                del module._diffusers_hook
        self._forget_cached_registries()

    def _forget_cached_registries(self) -> None:
        """Diffusers caches which submodules have hooks, and the cache is now out of date."""
        HookRegistry.check_if_exists_or_initialize(self._root).invalidate_child_registries_cache()
