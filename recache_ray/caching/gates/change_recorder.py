"""Records what TeaCache's polynomial is fitted to, over a generation that it leaves uncached."""

from __future__ import annotations

from torch import Tensor

from recache_ray.caching.gates.change import relative_l1
from recache_ray.caching.gates.gate import StepSignals


class ChangeRecorder:
    """A gate that computes every step and keeps the relative changes from step to step.

    Attributes:
        input_changes: of the timestep-modulated input, at steps 1..T-1.
        output_changes: of the transformer's output, at steps 1..T-2: a gate never sees that of the last.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin a generation; what was recorded before is dropped."""
        self.input_changes: list[float] = []
        self.output_changes: list[float] = []
        self._input: Tensor | None = None
        self._output: Tensor | None = None

    def compute(self, step: int, signals: StepSignals) -> bool:
        """Always True."""
        modulated, velocity = signals.modulated, signals.velocity
        if self._input is not None:
            self.input_changes.append(relative_l1(modulated, self._input))
        if velocity is not None and self._output is not None:
            self.output_changes.append(relative_l1(velocity, self._output))
        self._input, self._output = modulated, velocity
        return True
