"""Rewards already measured, so that no (prompt, seed, mechanism, schedule) is evaluated twice.

Shapes: E entries, T steps, R requests, J metric names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

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

    def __len__(self) -> int:
        return sum(len(rewards) for rewards in self._entries.values())

    def record(self, group: RolloutGroup, version: int) -> int:
        """Add a group's rewards; returns how many were new. What is already there stays as it was."""
        rewards = self._entries.setdefault(_key(group.request), {})
        before = len(rewards)
        for rollout in group.rollouts:
            rewards.setdefault(rollout.schedule, (version, rollout.breakdown))
        return len(rewards) - before

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
        rows = [
            (request, schedule, version, breakdown)
            for request, rewards in enumerate(self._entries.values())
            for schedule, (version, breakdown) in rewards.items()
        ]
        names = sorted({name for *_, breakdown in rows for name in breakdown.metrics})
        num_steps = rows[0][1].num_steps if rows else 0
        tensors = {
            "request_E": torch.tensor([row[0] for row in rows], dtype=torch.int32),
            "version_E": torch.tensor([row[2] for row in rows], dtype=torch.int32),
            "mask_ET": torch.tensor([row[1].compute_mask for row in rows], dtype=torch.uint8).reshape(
                len(rows), num_steps
            ),
            "reward_E": torch.tensor([row[3].reward for row in rows], dtype=torch.float64),
            "metrics_EJ": torch.tensor(
                [[row[3].metrics.get(name, math.nan) for name in names] for row in rows], dtype=torch.float64
            ).reshape(len(rows), len(names)),
        }
        document = {"mechanism": self.mechanism.id, "requests": [list(key) for key in self._entries], "metrics": names}
        return tensors, document

    def load_state(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Take over the state of :meth:`state`."""
        self._entries = {(str(text), int(seed)): {} for text, seed in document["requests"]}
        keys = list(self._entries)
        columns = (tensors[name].tolist() for name in ("request_E", "version_E", "mask_ET", "reward_E", "metrics_EJ"))
        for request, version, mask, reward, values in zip(*columns, strict=True):
            metrics = {
                name: value for name, value in zip(document["metrics"], values, strict=True) if not math.isnan(value)
            }
            self._entries[keys[request]][Schedule.from_mask(mask)] = (version, RewardBreakdown(reward, metrics))


def _key(request: GenerationRequest) -> RequestKey:
    return request.prompt.text, request.noise_seed
