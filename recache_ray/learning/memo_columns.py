"""The reward memo as columns that grow with it, so that writing a checkpoint copies bytes and converts nothing.

Shapes: E entries, T steps, J metric names.
"""

from __future__ import annotations

import math
from array import array

import torch
from torch import Tensor

from recache_ray.schedules import Schedule
from recache_ray.types import RewardBreakdown


class MemoColumns:
    """Entries in the order they were recorded."""

    def __init__(self) -> None:
        self._request, self._version, self._reward = array("i"), array("i"), array("d")
        self._mask = bytearray()
        self._metrics: dict[str, array[float]] = {}

    def __len__(self) -> int:
        return len(self._reward)

    def append(self, request: int, version: int, schedule: Schedule, breakdown: RewardBreakdown) -> None:
        """Add an entry; ``request`` is the number of its request."""
        for name in breakdown.metrics.keys() - self._metrics.keys():
            self._metrics[name] = array("d", [math.nan]) * len(self)
        self._request.append(request)
        self._version.append(version)
        mask = bytearray(schedule.num_steps)
        for step in schedule.compute_steps:
            mask[step] = 1
        self._mask += mask
        self._reward.append(breakdown.reward)
        for name, column in self._metrics.items():
            column.append(breakdown.metrics.get(name, math.nan))

    @property
    def metric_names(self) -> list[str]:
        """Names in the order of the columns of ``metrics_EJ``."""
        return sorted(self._metrics)

    def tensors(self) -> dict[str, Tensor]:
        """``request_E``, ``version_E`` (int32), ``mask_ET`` (uint8), ``reward_E``, ``metrics_EJ`` (float64)."""
        entries = len(self)
        columns = [_tensor(self._metrics[name], torch.float64) for name in self.metric_names]
        return {
            "request_E": _tensor(self._request, torch.int32),
            "version_E": _tensor(self._version, torch.int32),
            "mask_ET": _tensor(self._mask, torch.uint8).reshape(entries, len(self._mask) // max(1, entries)),
            "reward_E": _tensor(self._reward, torch.float64),
            "metrics_EJ": torch.stack(columns, 1) if columns else torch.empty(entries, 0, dtype=torch.float64),
        }


def _tensor(column: array[int] | array[float] | bytearray, dtype: torch.dtype) -> Tensor:
    """A copy: the column goes on growing."""
    return torch.frombuffer(column, dtype=dtype).clone() if len(column) else torch.empty(0, dtype=dtype)
