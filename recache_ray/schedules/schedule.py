"""A schedule: which of the T denoising steps are computed, the others being taken from the cache."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from recache_ray.errors import BadInputError
from recache_ray.schedules.resample import resampled_steps


@dataclass(frozen=True, order=True)
class Schedule:
    """An immutable compute mask over ``num_steps`` denoising steps (0-based).

    Step 0 is always computed, since nothing is cached before it. Schedules hash and compare by value, so they
    serve as keys of the reward memo.

    Example: ``Schedule(num_steps=6, compute_steps=(0, 1, 4))`` has budget 3 and mask ``1 1 0 0 1 0``.

    Raises:
        BadInputError: if a step is out of range or repeated, the steps are not ascending, or step 0 is missing.
    """

    num_steps: int
    compute_steps: tuple[int, ...]

    def __post_init__(self) -> None:
        steps = self.compute_steps
        if not isinstance(steps, tuple):
            object.__setattr__(self, "compute_steps", tuple(steps))
            steps = self.compute_steps
        if self.num_steps < 1:
            raise BadInputError(f"schedule num_steps = {self.num_steps}: must be at least 1")
        if not steps or steps[0] != 0:
            raise BadInputError(f"schedule {list(steps)}: step 0 must be computed, nothing is cached before it; add 0")
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise BadInputError(f"schedule {list(steps)}: compute steps must be ascending without repeats")
        if steps[-1] >= self.num_steps:
            raise BadInputError(
                f"schedule step {steps[-1]}: must be below num_steps = {self.num_steps} (steps count from 0)"
            )

    @classmethod
    def full(cls, num_steps: int) -> Schedule:
        """The uncached schedule: every step computed."""
        return cls(num_steps, tuple(range(num_steps)))

    @classmethod
    def from_mask(cls, mask: Sequence[int] | Sequence[bool]) -> Schedule:
        """Build from a mask of length T with 1 = compute, 0 = cached."""
        return cls(len(mask), tuple(step for step, compute in enumerate(mask) if compute))

    @classmethod
    def from_steps(cls, num_steps: int, steps: Iterable[int]) -> Schedule:
        """Build from steps in any order, repeats removed."""
        return cls(num_steps, tuple(sorted(set(steps))))

    @property
    def budget(self) -> int:
        """Number of computed steps k."""
        return len(self.compute_steps)

    @property
    def compute_mask(self) -> tuple[bool, ...]:
        """Length-T mask, True = compute."""
        chosen = set(self.compute_steps)
        return tuple(step in chosen for step in range(self.num_steps))

    def computes(self, step: int) -> bool:
        """Whether ``step`` is a compute step."""
        return step in self.compute_steps

    def prefix(self, step: int) -> tuple[int, ...]:
        """The compute steps up to and including ``step``: siblings that agree here are in the same state."""
        return tuple(computed for computed in self.compute_steps if computed <= step)

    def resampled(self, num_steps: int) -> Schedule:
        """The schedule of as many computed steps at another T whose noise levels are nearest to those of this one.

        See :mod:`recache_ray.schedules.resample`. The same T gives the same schedule, and so does going to a larger T
        and back.

        Raises:
            BadInputError: if ``num_steps`` is less than the number of computed steps.
        """
        if num_steps < self.budget:
            raise BadInputError(
                f"num_steps = {num_steps}: must be at least {self.budget}, the computed steps of the schedule; "
                "choose a schedule of a smaller budget"
            )
        return Schedule(num_steps, resampled_steps(self.compute_steps, self.num_steps, num_steps))

    def __str__(self) -> str:
        return "".join("1" if compute else "0" for compute in self.compute_mask)
