"""Which denoising step and which guidance branch a transformer call belongs to."""

from __future__ import annotations

from collections.abc import Callable

from recache_ray.errors import BadInputError

Branch = str | int
GenerationToken = Callable[[], object]


class StepClock:
    """Counts transformer calls, so that it works for pipelines that tell their step and for those that do not.

    A branch is named by the pipeline's cache context (``cond``, ``uncond``) where there is one, and otherwise by the
    call's place within its step. A branch that comes round again starts the next step; after T steps the next
    generation starts.

    Args:
        num_steps: T.
        forwards_per_step: transformer calls a step makes where the pipeline names no branches.
        generation: returns an object that is another one in each generation, and so reveals that the last one was
            abandoned half-way.
    """

    def __init__(self, num_steps: int, forwards_per_step: int = 1, generation: GenerationToken | None = None) -> None:
        self._num_steps = num_steps
        self._forwards_per_step = forwards_per_step
        self._generation = generation
        self._token: object = None
        self.restart()

    def restart(self) -> None:
        """Make the next call the first of a generation."""
        self._step = 0
        self._seen: set[Branch] = set()
        self._started = False

    def tick(self, context_name: str | None) -> tuple[int, Branch, bool]:
        """Register one transformer call.

        Returns:
            Its step, its branch, and whether it is the first of a generation.

        Raises:
            BadInputError: if generations are told apart and this one has more calls than T steps make.
        """
        if self._generation is not None and (token := self._generation()) is not self._token:
            self.restart()
            self._token = token
        branch: Branch = len(self._seen) % self._forwards_per_step if context_name is None else context_name
        if branch in self._seen:
            self._seen.clear()
            self._step += 1
            if self._step == self._num_steps:
                self._refuse_surplus()
                self.restart()
        first, self._started = not self._started, True
        self._seen.add(branch)
        return self._step, branch, first

    def _refuse_surplus(self) -> None:
        """A call after the last step is a new generation, unless generations are told apart and this is the same."""
        if self._generation is not None:
            raise BadInputError(
                f"the pipeline calls its transformer again after {self._num_steps} steps of one generation; turn off "
                "guidance that makes calls of its own, such as skip-layer guidance"
            )
