"""Rewards already measured, so that no (prompt, seed, mechanism, schedule) is evaluated twice.

Shapes: E entries, T steps, J metric names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from recache_ray.learning.memo_columns import MemoColumns
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, RewardBreakdown, RolloutGroup

RequestKey = tuple[str, int]
"""Prompt text and noise seed."""


class RewardMemo:
    """Measured rewards by request and schedule, for one mechanism and one T.

    Every entry carries the *version* it was recorded at: the number of updates applied, that one included. What a
    task knows is the memo as of its policy version, so it is the same whether or not the run was killed and resumed,
    and whichever order results came back in.
    """

    def __init__(self, mechanism: MechanismSpec) -> None:
        self.mechanism = mechanism
        self._entries: dict[RequestKey, dict[Schedule, tuple[int, RewardBreakdown]]] = {}
        self._numbers: dict[RequestKey, int] = {}
        self._columns = MemoColumns()

    def __len__(self) -> int:
        return len(self._columns)

    def record(self, group: RolloutGroup, version: int) -> int:
        """Add a group's rewards; returns how many were new. What is already there stays as it was."""
        before = len(self)
        for rollout in group.rollouts:
            self._add(_key(group.request), rollout.schedule, version, rollout.breakdown)
        return len(self) - before

    def known(self, request: GenerationRequest, version: int | None = None) -> dict[Schedule, RewardBreakdown]:
        """Rewards of a request recorded up to ``version`` (all of them without it), in the order of recording."""
        rewards = self._entries.get(_key(request), {})
        return {
            schedule: breakdown
            for schedule, (recorded, breakdown) in rewards.items()
            if version is None or recorded <= version
        }

    def get(self, request: GenerationRequest, schedule: Schedule) -> RewardBreakdown | None:
        """The reward of one pair, if it was measured."""
        found = self._entries.get(_key(request), {}).get(schedule)
        return None if found is None else found[1]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON of a checkpoint; floats are kept in float64, bit for bit."""
        names = self._columns.metric_names
        document = {"mechanism": self.mechanism.id, "requests": [list(key) for key in self._numbers], "metrics": names}
        return self._columns.tensors(), document

    def load_state(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Take over the state of :meth:`state`."""
        self._entries, self._numbers, self._columns = {}, {}, MemoColumns()
        keys = [(str(text), int(seed)) for text, seed in document["requests"]]
        columns = (tensors[name].tolist() for name in ("request_E", "version_E", "mask_ET", "reward_E", "metrics_EJ"))
        for request, version, mask, reward, values in zip(*columns, strict=True):
            metrics = {
                name: value for name, value in zip(document["metrics"], values, strict=True) if not math.isnan(value)
            }
            self._add(keys[request], Schedule.from_mask(mask), version, RewardBreakdown(reward, metrics))

    def _add(self, key: RequestKey, schedule: Schedule, version: int, breakdown: RewardBreakdown) -> None:
        rewards = self._entries.setdefault(key, {})
        if schedule not in rewards:
            rewards[schedule] = version, breakdown
            self._columns.append(self._numbers.setdefault(key, len(self._numbers)), version, schedule, breakdown)


def _key(request: GenerationRequest) -> RequestKey:
    return request.prompt.text, request.noise_seed
