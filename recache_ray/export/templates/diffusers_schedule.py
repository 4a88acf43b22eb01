"""TITLE

Needs diffusers 0.42 and nothing else. The transformer's last projection is forecast at cached steps, and its blocks
return at once; pipelines must set a cache context (FLUX text-to-image, Wan, HunyuanVideo, Qwen-Image, LTX, CogVideoX).
"""

import re

import torch
from diffusers.hooks.hooks import HookRegistry, StateManager
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheHook, TaylorSeerState

NUM_STEPS = 1
COMPUTE_STEPS = frozenset((0,))
ORDER = 0

_NAME = "recache_schedule"
_FORECAST = re.compile(r"proj_out")
_SKIPPED = re.compile(r"[^.]*block[^.]*\.[^.]+")


class ScheduleHook(TaylorSeerCacheHook):
    """Computes the steps of the schedule and forecasts the others."""

    @torch.compiler.disable
    def _measure_should_compute(self):
        state = self.state_manager.get_state()
        state.current_step += 1
        if state.current_step >= NUM_STEPS:
            raise ValueError(
                f"step {state.current_step}: the schedule has {NUM_STEPS}; use num_inference_steps={NUM_STEPS}"
            )
        return state.current_step in COMPUTE_STEPS, state


def enable(pipe):
    """Cache every following call of ``pipe``, made with ``num_inference_steps=NUM_STEPS``."""
    for name, module in pipe.transformer.named_modules():
        if not (_FORECAST.fullmatch(name) or _SKIPPED.fullmatch(name)):
            continue
        settings = {
            "taylor_factors_dtype": torch.float32,
            "max_order": ORDER,
            "is_inactive": _FORECAST.fullmatch(name) is None,
        }
        hook = ScheduleHook(
            cache_interval=1,
            disable_cache_before_step=0,
            taylor_factors_dtype=torch.float32,
            state_manager=StateManager(TaylorSeerState, init_kwargs=settings),
        )
        HookRegistry.check_if_exists_or_initialize(module).register_hook(hook, _NAME)
    HookRegistry.check_if_exists_or_initialize(pipe.transformer).invalidate_child_registries_cache()
    return pipe


def disable(pipe):
    """Undo :func:`enable`."""
    for _, module in pipe.transformer.named_modules():
        registry = getattr(module, "_diffusers_hook", None)
        if registry is not None and registry.get_hook(_NAME) is not None:
            registry.remove_hook(_NAME, recurse=False)
    HookRegistry.check_if_exists_or_initialize(pipe.transformer).invalidate_child_registries_cache()
    return pipe
