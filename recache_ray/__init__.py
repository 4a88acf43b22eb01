"""recache_ray: learn which denoising steps of a diffusion model to compute, for any compute budget.

The public names load on first use, so ``import recache_ray`` and ``ScheduleTable.load`` need neither torch nor Ray.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recache_ray.caching.cut import StackEntry, register_stack
    from recache_ray.diffusion.production import cached, disable, enable
    from recache_ray.errors import BadInputError, RecacheError, RunFailedError
    from recache_ray.export.registry import export_schedule
    from recache_ray.learning.black_box import learn_schedules
    from recache_ray.policies.policy import BudgetPolicy
    from recache_ray.schedules.schedule import Schedule
    from recache_ray.schedules.table import ScheduleTable

__all__ = [
    "BadInputError",
    "BudgetPolicy",
    "RecacheError",
    "RunFailedError",
    "Schedule",
    "ScheduleTable",
    "StackEntry",
    "cached",
    "disable",
    "enable",
    "export_schedule",
    "learn_schedules",
    "register_stack",
]

_HOME = {
    "BadInputError": "recache_ray.errors",
    "RecacheError": "recache_ray.errors",
    "RunFailedError": "recache_ray.errors",
    "Schedule": "recache_ray.schedules.schedule",
    "ScheduleTable": "recache_ray.schedules.table",
    "BudgetPolicy": "recache_ray.policies.policy",
    "cached": "recache_ray.diffusion.production",
    "enable": "recache_ray.diffusion.production",
    "disable": "recache_ray.diffusion.production",
    "export_schedule": "recache_ray.export.registry",
    "learn_schedules": "recache_ray.learning.black_box",
    "StackEntry": "recache_ray.caching.cut",
    "register_stack": "recache_ray.caching.cut",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'recache_ray' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
