"""What a gate is asked and what it may look at.

Shapes: R batch rows, N image tokens, D features, C latent channels.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class StepSignals(Protocol):
    """What is known at the start of a step, before its blocks run. What is not free is made when it is read."""

    @property
    def latents(self) -> Tensor:
        """The transformer's input [R, N, C]."""
        ...

    @property
    def velocity(self) -> Tensor | None:
        """The transformer's output [R, N, C] at the newest computed step; None before the first."""
        ...

    @property
    def modulated(self) -> Tensor:
        """The tokens [R, N, D] after the first block's timestep-dependent norm; reading it runs that norm."""
        ...

    @property
    def probe_in(self) -> Tensor:
        """The tokens [R, N, D] that enter the first block."""
        ...

    @property
    def probe_out(self) -> Tensor:
        """The tokens [R, N, D] that leave the first block; reading it runs the block, once a step."""
        ...


class Gate(Protocol):
    """Decides, step by step, for one generation at a time. It must compute step 0."""

    def reset(self) -> None:
        """Forget everything: a new generation begins."""
        ...

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Whether ``step`` is computed; asked once per step, in order."""
        ...
