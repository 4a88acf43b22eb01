"""Imposes schedules on a transformer instance while its pipeline runs as it always does.

Shapes: R batch rows, N image tokens, D features; M siblings, U distinct prefixes of computed steps.
Row r of a batch belongs to sibling r % M, so that pipelines which double the batch for guidance need no special case.
With one sibling every row follows its schedule, whatever the rows are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.hooks.hooks import ModelHook
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn

from recache_ray.caching.block_call import BlockCall
from recache_ray.caching.clock import Branch, GenerationToken
from recache_ray.caching.hook_set import HookSet
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.prefix_plan import Prefix, PrefixRow, StepPlan, plan_steps
from recache_ray.caching.stack_hooks import BlockHook, DriverHook
from recache_ray.caching.stack_interceptor import StackInterceptor
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


@dataclass(slots=True)
class _Pass:
    """One run through the block stack, for the prefixes that compute or for those that predict."""

    rows: tuple[PrefixRow, ...]
    step: int
    computes: bool
    histories: dict[Prefix, FeatureHistory]
    entered: Tensor | None = None


class ScheduleInterceptor(StackInterceptor):
    """Computes or predicts the block stack's residual at each step, per sibling, as the schedules say.

    Siblings whose computed steps so far are equal are in the same state: their row runs once and is copied. Where
    nothing has to be split or predicted, the transformer is called with its untouched arguments.

    Args:
        transformer: the instance to intercept; other instances of its class are not affected.
        schedules: one per sibling, all of the same T.
        mechanism: what a cached step does.
        forwards_per_step: transformer calls per step of pipelines that do not name their guidance branches.
        generation: see :class:`~recache_ray.caching.clock.StepClock`.

    Attributes:
        forwards_requested: row-forwards through the block stack that one pipeline call per schedule would have made,
            since construction.
        forwards_executed: row-forwards that ran.

    Raises:
        BadInputError: if the transformer's class is not known or the schedules' T differ.

    Example:
        ``with ScheduleInterceptor(pipe.transformer, [schedule], build_mechanism(spec)): pipe("a cat")``
    """

    def __init__(
        self,
        transformer: nn.Module,
        schedules: Sequence[Schedule],
        mechanism: CachingMechanism,
        forwards_per_step: int = 1,
        generation: GenerationToken | None = None,
    ) -> None:
        self._mechanism = mechanism
        self._plans = plan_steps(schedules)
        self._siblings = len(schedules)
        self._histories: dict[Branch, dict[Prefix, FeatureHistory]] = {}
        self._pass: _Pass | None = None
        self.forwards_requested = 0
        self.forwards_executed = 0
        super().__init__(transformer, len(self._plans), forwards_per_step, generation)

    @property
    def computing(self) -> bool | None:
        """Whether the pass under way computes its rows; None outside of one."""
        return None if self._pass is None else self._pass.computes

    def reset(self) -> None:
        """Forget the generation under way; the next transformer call is the first of a new one."""
        super().reset()
        self._histories.clear()
        self._pass = None

    def _make_hooks(self) -> HookSet:
        stack, split_rows = self._stack, self._siblings > 1
        modules: list[tuple[nn.Module, int | None]] = [(module, None) for module in stack.block_inputs]
        modules += [(block, index) for index, block in enumerate(stack.blocks)]
        hooks: list[tuple[nn.Module, ModelHook]] = [
            (module, BlockHook(self, stack, index, entry=place == 0 and not split_rows))
            for place, (module, index) in enumerate(modules)
        ]
        if split_rows:
            hooks.append((stack.transformer, _SplitHook(self)))
        return HookSet(stack.transformer, hooks)

    def _begin_call(self, context_name: str | None) -> tuple[int, StepPlan, dict[Prefix, FeatureHistory]]:
        """Step, plan and histories of the transformer call that starts now."""
        step, branch, first = self._clock.tick(context_name)
        if first:
            self._histories.clear()
        plan = self._plans[step]
        alive = {row.prefix[:-1] for row in plan.computing} | {row.prefix for row in plan.predicting}
        known = self._histories.get(branch, {})
        histories = {prefix: history for prefix, history in known.items() if prefix in alive}
        self._histories[branch] = histories
        return step, plan, histories

    def begin(self, context_name: str | None) -> None:
        """Decide for a transformer call that all rows share."""
        step, plan, histories = self._begin_call(context_name)
        self._pass = _Pass(plan.computing or plan.predicting, step, bool(plan.computing), histories)

    def split_call(self, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context_name: str | None) -> Any:
        """Run a transformer call whose rows follow different schedules."""
        step, plan, histories = self._begin_call(context_name)
        arguments = self._stack.bind(args, kwargs)
        repeats, rest = divmod(arguments["hidden_states"].shape[0], self._siblings)
        if rest:
            raise BadInputError(
                f"batch of {arguments['hidden_states'].shape[0]} rows: must be a multiple of the "
                f"{self._siblings} schedules; generate one picture per schedule"
            )
        distinct = len(plan.computing) + len(plan.predicting)
        if distinct == self._siblings and not (plan.computing and plan.predicting):
            self._pass = _Pass(plan.computing or plan.predicting, step, bool(plan.computing), histories)
            return forward(**arguments)
        device = arguments["hidden_states"].device
        tensors = []
        for rows, computes in ((plan.computing, True), (plan.predicting, False)):
            if rows:
                self._pass = _Pass(rows, step, computes, histories)
                chosen = [repeat * self._siblings + row.sibling for repeat in range(repeats) for row in rows]
                subset = self._stack.select_rows(arguments, torch.tensor(chosen, device=device))
                tensors.append(forward(**{**subset, "return_dict": False})[0].unflatten(0, (repeats, len(rows))))
        results = tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=1)
        sample = results.index_select(1, torch.tensor(plan.source, device=device)).flatten(0, 1)
        return Transformer2DModelOutput(sample=sample) if arguments.get("return_dict", True) else (sample,)

    def enter_stack(self, call: BlockCall) -> None:
        """Count the rows that compute, and keep the tokens that enter where a residual is needed."""
        current = self._pass
        if current is None:
            return
        image_tokens = call.image_tokens
        if current.computes:
            repeats = image_tokens.shape[0] if self._siblings == 1 else image_tokens.shape[0] // len(current.rows)
            self.forwards_executed += repeats * len(current.rows)
            self.forwards_requested += repeats * sum(row.members for row in current.rows)
        if not current.computes or any(row.cached_later for row in current.rows):
            current.entered = image_tokens

    def leave_stack(self, image_tokens: Tensor) -> None:
        """Image tokens [R, N, D] leave the last block: remember the residual of prefixes that need it later."""
        current, self._pass = self._pass, None
        if current is None or current.entered is None:
            return
        stride = len(current.rows)
        for offset, row in enumerate(current.rows):
            if row.cached_later:
                residual = image_tokens[offset::stride] - current.entered[offset::stride]
                history = self._history(current, row.prefix[:-1]) if len(row.prefix) > 1 else self._mechanism.reset()
                current.histories[row.prefix] = self._mechanism.update(history, current.step, residual)

    def forecast_stack(self) -> Tensor:
        """What leaves the bypassed stack: the tokens that entered it plus the predicted residual [R, N, D]."""
        current, self._pass = self._pass, None
        assert current is not None and current.entered is not None
        forecasts = [self._mechanism.predict(self._history(current, row.prefix), current.step) for row in current.rows]
        if len(forecasts) == 1:
            return current.entered + forecasts[0]
        return current.entered + torch.stack(forecasts, dim=1).flatten(0, 1)

    def _history(self, current: _Pass, prefix: Prefix) -> FeatureHistory:
        history = current.histories.get(prefix)
        if history is None:
            raise BadInputError(
                f"step {current.step}: this guidance branch was not called at computed step {prefix[-1]}; "
                "every step must call the same branches, so turn off guidance intervals"
            )
        return history


class _SplitHook(DriverHook):
    """On the transformer, with several siblings: splits its batch."""

    def __init__(self, interceptor: ScheduleInterceptor) -> None:
        super().__init__(interceptor, entry=True)
        self._interceptor = interceptor

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._interceptor.split_call(self.fn_ref.original_forward, args, kwargs, self.context_name)
