"""Splits a batch whose rows follow different schedules, and puts what comes out together again.

Shapes: M siblings; R = K·M batch rows, the batch being repeated K times for guidance; U rows of a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from recache_ray.caching.prefix_plan import StepPlan
from recache_ray.caching.stack_hooks import DriverHook, StackDriver
from recache_ray.caching.stack_pass import StackPass
from recache_ray.errors import BadInputError


class BatchSplit:
    """Which rows of a batch run at a step: of siblings in the same state, the first.

    Args:
        plan: of the step.
        siblings: M.
        batch: a tensor of the whole batch [R, ...].

    Raises:
        BadInputError: if R is no multiple of M.
    """

    def __init__(self, plan: StepPlan, siblings: int, batch: Tensor) -> None:
        self._repeats, rest = divmod(batch.shape[0], siblings)
        if rest:
            raise BadInputError(
                f"batch of {batch.shape[0]} rows: must be a multiple of the {siblings} schedules; generate one picture "
                "per schedule"
            )
        self._plan = plan
        self._siblings = siblings
        self._device = batch.device

    @property
    def is_whole(self) -> bool:
        """Whether all rows run, and all of them do the same."""
        computing, predicting = self._plan.computing, self._plan.predicting
        return len(computing) + len(predicting) == self._siblings and not (computing and predicting)

    def rows(self, current: StackPass) -> Tensor:
        """Places [K·U] in the batch of the rows of a pass."""
        chosen = [repeat * self._siblings + row.sibling for repeat in range(self._repeats) for row in current.rows]
        return torch.tensor(chosen, device=self._device)

    def join(self, results: Sequence[Tensor]) -> Tensor:
        """What came out of the passes, in their order [K·U, ...], for every row of the batch [R, ...]."""
        tensors = [result.unflatten(0, (self._repeats, -1)) for result in results]
        distinct = tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=1)
        return distinct.index_select(1, torch.tensor(self._plan.source, device=self._device)).flatten(0, 1)


class SplitDriver(StackDriver, Protocol):
    """What runs a transformer call in parts."""

    def split_call(self, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context_name: str | None) -> Any:
        """Run a transformer call whose rows follow different schedules, in the guidance branch of this name."""
        ...


class SplitHook(DriverHook):
    """On the transformer, with several siblings: hands every call to the driver."""

    def __init__(self, driver: SplitDriver) -> None:
        super().__init__(driver, entry=True)
        self._driver = driver

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._driver.split_call(self.fn_ref.original_forward, args, kwargs, self.context_name)
