"""What a cached step does: predict the block stack's residual from the residuals of earlier computed steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class FeatureHistory:
    """Immutable memory of one prefix of computed steps, newest first.

    Siblings with the same computed steps so far share one object; after they part, each grows its own.

    Attributes:
        steps: the computed steps remembered, newest first.
        factors: what the mechanism predicts from, for Taylor the difference quotients D0, D1, ...; each [B, N, D].
    """

    steps: tuple[int, ...] = ()
    factors: tuple[Tensor, ...] = ()


class CachingMechanism(Protocol):
    """A pure rule: no state of its own, so one object serves every sibling, branch and generation."""

    @property
    def id(self) -> str:
        """Name with order, for example ``taylor1``."""
        ...

    def reset(self) -> FeatureHistory:
        """The empty history every generation starts from."""
        ...

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        """The history after computing ``step``, whose residual is ``feature`` [B, N, D]."""
        ...

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        """Forecast the residual at cached ``step`` [B, N, D], with the highest order the history allows."""
        ...
