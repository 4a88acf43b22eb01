"""Imposes schedules on a transformer instance while its pipeline runs as it always does.

Shapes: R batch rows, N image tokens, D features; M siblings, U distinct prefixes of computed steps.
Row r of a batch belongs to sibling r % M, so that pipelines which double the batch for guidance need no special case.
With one sibling every row follows its schedule, whatever the rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from diffusers.hooks.hooks import ModelHook
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn

from recache_ray.caching.block_call import BlockCall
from recache_ray.caching.clock import Branch, GenerationToken
from recache_ray.caching.delta import DeltaDiT, first_cached_block
from recache_ray.caching.hook_set import HookSet
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.module_cut import PerModule
from recache_ray.caching.module_hooks import Slot, module_hooks
from recache_ray.caching.prefix_plan import PrefixRow, State, StepPlan, plan_steps
from recache_ray.caching.stack_hooks import BlockHook, DriverHook
from recache_ray.caching.stack_interceptor import StackInterceptor
from recache_ray.caching.two_anchor import ScheduledTwoAnchor
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule

_RESIDUAL: Slot = (0, 0)
_PROBE: Slot = (1, 0)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Histories = dict[State, dict[Slot, FeatureHistory]]


def _outside_graphs(function: _Function) -> _Function:
    """Let a compiler call ``function`` rather than trace it."""
    return torch.compiler.disable(function)


@dataclass(slots=True)
class _Pass:
    """One run through the block stack, for the prefixes that compute or for those that predict.

    ``predicting`` are the states of the same step whose histories must outlive the pass.
    """

    rows: tuple[PrefixRow, ...]
    step: int
    computes: bool
    histories: _Histories
    predicting: frozenset[State]
    probe: Tensor | None = None

    @property
    def is_remembered(self) -> bool:
        """Whether any later step needs what this one computes."""
        return any(row.cached_later for row in self.rows)


class ScheduleInterceptor(StackInterceptor):
    """Computes or predicts at each step, per sibling, as the schedules say.

    What is predicted is the residual of the block stack, of its rear part for
    :class:`~recache_ray.caching.delta.DeltaDiT`, or the output of every module for
    :class:`~recache_ray.caching.module_cut.PerModule`. For
    :class:`~recache_ray.caching.two_anchor.ScheduledTwoAnchor` the first block runs at every step.

    Siblings whose computed steps so far are equal are in the same state: their row runs once and is copied. Where
    nothing has to be split or predicted, the transformer is called with its untouched arguments.

    Args:
        transformer: the instance to intercept; other instances of its class are not affected.
        schedules: one per sibling, all of the same T.
        mechanism: what a cached step does.
        forwards_per_step: transformer calls per step of pipelines that do not name their guidance branches.
        generation: see :class:`~recache_ray.caching.clock.StepClock`.
        streams: the prompt and noise each sibling belongs to, where they differ; None is one for all.

    What a hook does inside a transformer call is a few assignments, so that a compiler sees two kinds of call and not
    one for each step: the decision and the forecast are made when the call begins, and what a call has computed is
    looked at when the next one does.

    Raises:
        BadInputError: if the transformer's class is not known to the mechanism's cut or the schedules' T differ.

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
        streams: Sequence[int] | None = None,
    ) -> None:
        self._mechanism = mechanism
        self._plans = plan_steps(schedules, streams)
        self._computed_calls = [0] * len(schedules)
        self._siblings = len(schedules)
        self._histories: dict[Branch, _Histories] = {}
        self._pass: _Pass | None = None
        self._ended: _Pass | None = None
        self._rows = 0
        self._keeps = False
        self._entered: Tensor | None = None
        self._left: Tensor | None = None
        self._predicted: Tensor | None = None
        self._probes = isinstance(mechanism, ScheduledTwoAnchor)
        self._predicts_ahead = not isinstance(mechanism, PerModule | ScheduledTwoAnchor)
        self._requested = 0
        self._executed = 0
        super().__init__(transformer, len(self._plans), forwards_per_step, generation)

    @property
    def computing(self) -> bool | None:
        """Whether the pass under way computes its rows; None outside of one."""
        return None if self._pass is None else self._pass.computes

    @property
    def forwards_requested(self) -> int:
        """Row-forwards through the block stack that one pipeline call per schedule would have made so far."""
        self._settle()
        return self._requested

    @property
    def forwards_executed(self) -> int:
        """Row-forwards that ran."""
        self._settle()
        return self._executed

    @property
    def computed_calls(self) -> tuple[int, ...]:
        """Transformer calls whose blocks ran for each sibling, since construction: counted where they run."""
        self._settle()
        return tuple(self._computed_calls)

    def reset(self) -> None:
        """Forget the generation under way; the next transformer call is the first of a new one."""
        super().reset()
        self._settle()
        self._histories.clear()
        self._pass = self._entered = self._predicted = None

    def _make_hooks(self) -> HookSet:
        stack, split_rows = self._stack, self._siblings > 1
        if isinstance(self._mechanism, PerModule):
            hooks = module_hooks(self, stack, begins=not split_rows)
        else:
            hooks = self._block_hooks(begins=not split_rows)
        if split_rows:
            hooks.append((stack.transformer, _SplitHook(self)))
        return HookSet(stack.transformer, hooks)

    def _block_hooks(self, begins: bool) -> list[tuple[nn.Module, ModelHook]]:
        stack = self._stack
        first = first_cached_block(len(stack.blocks)) if isinstance(self._mechanism, DeltaDiT) else 0
        modules: list[tuple[nn.Module, int | None]] = []
        # blocks that run at a cached step need their inputs prepared
        if not first and not isinstance(self._mechanism, ScheduledTwoAnchor):
            modules += [(module, None) for module in stack.block_inputs]
        modules += [(block, index) for index, block in enumerate(stack.blocks) if index >= first]
        return [
            (module, BlockHook(self, stack, index, entry=begins and place == 0, first=first))
            for place, (module, index) in enumerate(modules)
        ]

    def _begin_call(self, context_name: str | None) -> tuple[int, StepPlan, _Histories]:
        """Step, plan and histories of the transformer call that starts now."""
        self._settle()
        step, branch, first = self._clock.tick(context_name)
        if first:
            self._histories.clear()
        plan = self._plans[step]
        alive = {row.parent for row in plan.computing} | {row.state for row in plan.predicting}
        known = self._histories.get(branch, {})
        histories = {state: history for state, history in known.items() if state in alive}
        self._histories[branch] = histories
        return step, plan, histories

    @_outside_graphs
    def begin(self, context_name: str | None) -> None:
        """Decide for a transformer call that all rows share."""
        step, plan, histories = self._begin_call(context_name)
        self._start(_one_pass(plan, step, histories))

    def _start(self, current: _Pass) -> None:
        """Begin a pass, with the forecast where it needs nothing that the call will compute."""
        self._pass = current
        self._keeps = not current.computes or current.is_remembered
        self._predicted = self.forecast(_RESIDUAL) if self._predicts_ahead and not current.computes else None

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
            self._start(_one_pass(plan, step, histories))
            return forward(**arguments)
        device = arguments["hidden_states"].device
        tensors = []
        predicting = frozenset(row.state for row in plan.predicting)
        for rows, computes in ((plan.computing, True), (plan.predicting, False)):
            if rows:
                self._start(_Pass(rows, step, computes, histories, predicting))
                chosen = [repeat * self._siblings + row.sibling for repeat in range(repeats) for row in rows]
                subset = self._stack.select_rows(arguments, torch.tensor(chosen, device=device))
                tensors.append(forward(**{**subset, "return_dict": False})[0].unflatten(0, (repeats, len(rows))))
                self._settle()
        results = tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=1)
        sample = results.index_select(1, torch.tensor(plan.source, device=device)).flatten(0, 1)
        return Transformer2DModelOutput(sample=sample) if arguments.get("return_dict", True) else (sample,)

    def enter_stack(self, call: BlockCall) -> None:
        """Keep the tokens that enter, where a residual or a forecast needs them."""
        self._entered = call.image_tokens if self._keeps else None
        if self._probes:
            self._take_probe(call)

    @_outside_graphs
    def _take_probe(self, call: BlockCall) -> None:
        if self._pass is not None and self._keeps:
            self._pass.probe = call.image_tokens_out() - call.image_tokens

    def leave_stack(self, image_tokens: Tensor) -> None:
        """Image tokens [R, N, D] leave the last block: keep them for :meth:`_settle`."""
        self._rows = image_tokens.shape[0]
        self._left = image_tokens if self._keeps else None
        self._ended, self._pass = self._pass, None

    def forecast_stack(self) -> Tensor:
        """What leaves the bypassed stack: the tokens that entered it plus the predicted residual [R, N, D]."""
        residual = self._predicted if self._predicts_ahead else self._forecast_late()
        assert self._entered is not None and residual is not None
        image_tokens = self._entered + residual
        self._pass = self._entered = self._predicted = None
        return image_tokens

    @_outside_graphs
    def _forecast_late(self) -> Tensor:
        return self.forecast(_RESIDUAL)

    def _settle(self) -> None:
        """Count the rows of the pass that ended, and remember their residual for the prefixes that need it later."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        entered, left = self._entered, self._left
        self._entered = self._left = None
        under_way, self._pass = self._pass, ended
        self.enter(self._rows)
        if left is not None and ended.is_remembered:
            self.learn(_RESIDUAL, left, entered)
            if ended.probe is not None:
                self.learn(_PROBE, ended.probe)
        self._pass = under_way

    def enter(self, batch_rows: int) -> None:
        """Count the rows of a pass, if it computes them."""
        current = self._pass
        if current is None or not current.computes:
            return
        repeats = batch_rows if self._siblings == 1 else batch_rows // len(current.rows)
        self._executed += repeats * len(current.rows)
        self._requested += repeats * sum(row.members for row in current.rows)
        for row in current.rows:
            for sibling in row.siblings:
                self._computed_calls[sibling] += 1

    def learn(self, slot: Slot, leaves: Tensor, enters: Tensor | None = None) -> None:
        """A tensor [R, ...] was computed: remember it, less what entered, for prefixes that need it later."""
        current = self._pass
        assert current is not None
        stride = len(current.rows)
        for offset, row in enumerate(current.rows):
            if not row.cached_later:
                continue
            feature = leaves[offset::stride]
            if enters is not None:
                feature = feature - enters[offset::stride]
            elif stride > 1:
                feature = feature.clone()  # a view would keep the whole batch alive
            history = self._mechanism.reset() if len(row.prefix) == 1 else self._parent(current, row.parent, slot)
            updated = self._mechanism.update(history, current.step, feature)
            current.histories.setdefault(row.state, {})[slot] = updated

    def forecast(self, slot: Slot) -> Tensor:
        """The forecast [R, ...] for the rows of the pass under way."""
        current = self._pass
        assert current is not None
        forecasts = [self._forecast_row(current, place, slot) for place in range(len(current.rows))]
        return forecasts[0] if len(forecasts) == 1 else torch.stack(forecasts, dim=1).flatten(0, 1)

    def _forecast_row(self, current: _Pass, place: int, slot: Slot) -> Tensor:
        state, mechanism = current.rows[place].state, self._mechanism
        history = self._history(current, state, slot)
        if isinstance(mechanism, ScheduledTwoAnchor) and current.probe is not None:
            probe = current.probe[place :: len(current.rows)]
            return mechanism.predict_along(history, self._history(current, state, _PROBE), probe)
        return mechanism.predict(history, current.step)

    def finish(self) -> None:
        """The pass is over; calls until the next one are not the interceptor's."""
        self._pass = None

    def _parent(self, current: _Pass, state: State, slot: Slot) -> FeatureHistory:
        """The history that a computed step adds to, given up slot by slot if no other row of the step needs it."""
        history = self._history(current, state, slot)
        if state not in current.predicting:
            del current.histories[state][slot]
        return history

    def _history(self, current: _Pass, state: State, slot: Slot) -> FeatureHistory:
        history = current.histories.get(state, {}).get(slot)
        if history is None:
            raise BadInputError(
                f"step {current.step}: this guidance branch was not called at computed step {state[1][-1]}; "
                "every step must call the same branches, so turn off guidance intervals"
            )
        return history


def _one_pass(plan: StepPlan, step: int, histories: _Histories) -> _Pass:
    """The pass of a step that does one thing with all its rows."""
    return _Pass(plan.computing or plan.predicting, step, bool(plan.computing), histories, frozenset())


class _SplitHook(DriverHook):
    """On the transformer, with several siblings: splits its batch."""

    def __init__(self, interceptor: ScheduleInterceptor) -> None:
        super().__init__(interceptor, entry=True)
        self._interceptor = interceptor

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._interceptor.split_call(self.fn_ref.original_forward, args, kwargs, self.context_name)
