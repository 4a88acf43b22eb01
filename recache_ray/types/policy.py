"""One version of the policy, and the update that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PolicySnapshot:
    """Everything needed to sample from one version of the policy, a few kilobytes, sent by value with every task.

    Attributes:
        version: number of updates applied to it.
        config: what rebuilds the policy object (kind, sizes, budgets), plain JSON values.
        parameters: the parameters as one flat little-endian float32 array, in the policy's own order.
    """

    version: int
    config: Mapping[str, object]
    parameters: bytes


@dataclass(frozen=True)
class UpdateStats:
    """What one policy update did; logged under the keys of ``metrics``."""

    policy_version: int
    groups: int
    metrics: Mapping[str, float]
