"""cache-dit itself as the mechanism: its own hooks run the schedule, so what is learnt is what it will serve."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from diffusers.utils.torch_utils import unwrap_module
from torch import nn

from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

# what cache-dit sets on a transformer and leaves there after it was disabled
_LEFT_BEHIND = ("forward", "_is_patched")


@dataclass(frozen=True)
class CacheDit:
    """DBCache with one block in front (F1B0) under a static mask, with its TaylorSeer calibrator from order 1 on.

    The first block of every block list runs at cached steps. cache-dit's TaylorSeer is not the paper's: it takes its
    first difference later, so over the first steps it is reuse. Siblings do not share prefixes: each is a pipeline call
    of its own.

    Args:
        order: of its calibrator; 0 repeats the residual behind the first block.
    """

    order: int = 0

    @property
    def id(self) -> str:
        return f"cache_dit{self.order}"

    def check_installed(self) -> None:
        """Refuse to be used without the package.

        Raises:
            BadInputError: if it is not installed.
        """
        if find_spec("cache_dit") is None:
            raise BadInputError(
                f"mechanism {self.id}: the package cache-dit is not installed; pip install 'recache_ray[cache-dit]', "
                "or choose another mechanism"
            )


Executor = CachingMechanism | CacheDit
"""What cached steps can be left to: a rule under this project's hooks, or cache-dit."""


class CacheDitRun:
    """Has cache-dit run one schedule on a transformer instance, for one generation; a context manager.

    Args:
        transformer: the instance.
        schedule: which steps to compute.
        mechanism: cache-dit's settings.
        forwards_per_step: 2 where guidance takes a transformer call of its own.

    Raises:
        BadInputError: on entering, if cache-dit is not installed or does not take this transformer.
    """

    def __init__(self, transformer: nn.Module, schedule: Schedule, mechanism: CacheDit, forwards_per_step: int) -> None:
        self._transformer = unwrap_module(transformer)
        self._schedule = schedule
        self._mechanism = mechanism
        self._forwards_per_step = forwards_per_step
        self._before: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._mechanism.check_installed()
        os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "warning")  # read at import; it tells of every generation
        import cache_dit

        attributes = vars(self._transformer)
        self._before = {name: attributes[name] for name in _LEFT_BEHIND if name in attributes}
        calibrator: dict[str, Any] = {}
        if self._mechanism.order:
            calibrator["calibrator_config"] = cache_dit.TaylorSeerCalibratorConfig(
                taylorseer_order=self._mechanism.order
            )
        try:
            cache_dit.enable_cache(
                self._transformer,
                cache_config=cache_dit.DBCacheConfig(
                    num_inference_steps=self._schedule.num_steps,
                    steps_computation_mask=[int(computes) for computes in self._schedule.compute_mask],
                    steps_computation_policy="static",
                    Fn_compute_blocks=1,
                    Bn_compute_blocks=0,
                    max_warmup_steps=0,
                    enable_separate_cfg=self._forwards_per_step == 2,
                ),
                **calibrator,
            )
        except (AssertionError, ValueError, TypeError) as error:
            self._restore()
            raise BadInputError(
                f"mechanism {self._mechanism.id}: cache-dit does not take {type(self._transformer).__name__} "
                f"({' '.join(str(error).split())[:200]}); choose another mechanism"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import cache_dit

        cache_dit.disable_cache(self._transformer)
        self._restore()

    def _restore(self) -> None:
        for name in _LEFT_BEHIND:
            vars(self._transformer).pop(name, None)
        vars(self._transformer).update(self._before)
