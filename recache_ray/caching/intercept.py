"""Imposes schedules on a transformer instance while its pipeline runs as it always does.

Shapes: R batch rows, N image tokens, D features; M siblings.
Row r of a batch belongs to sibling r % M, so that pipelines which double the batch for guidance need no special case.
With one sibling every row follows its schedule, whatever the rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from diffusers.hooks.hooks import ModelHook
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch import Tensor, nn

from recache_ray.caching.batch_split import BatchSplit, SplitHook
from recache_ray.caching.block_call import BlockCall
from recache_ray.caching.clock import GenerationToken
from recache_ray.caching.delta import DeltaDiT, first_cached_block
from recache_ray.caching.forward_count import ForwardCount
from recache_ray.caching.hook_set import HookSet
from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.module_cut import PerModule
from recache_ray.caching.module_hooks import module_hooks
from recache_ray.caching.prefix_histories import PROBE, RESIDUAL, PrefixHistories
from recache_ray.caching.prefix_plan import StepPlan, plan_steps
from recache_ray.caching.stack_hooks import BlockHook
from recache_ray.caching.stack_interceptor import StackInterceptor
from recache_ray.caching.stack_pass import Histories, Slot, StackPass, one_pass, split_passes
from recache_ray.caching.two_anchor import ScheduledTwoAnchor
from recache_ray.schedules import Schedule

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _outside_graphs(function: _Function) -> _Function:
    """Let a compiler call ``function`` rather than trace it."""
    return torch.compiler.disable(function)


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
        self._siblings = len(schedules)
        self._count = ForwardCount(len(schedules))
        self._histories = PrefixHistories(mechanism)
        self._pass: StackPass | None = None
        self._ended: StackPass | None = None
        self._rows = 0
        self._keeps = False
        self._entered: Tensor | None = None
        self._left: Tensor | None = None
        self._predicted: Tensor | None = None
        self._probes = isinstance(mechanism, ScheduledTwoAnchor)
        self._predicts_ahead = not isinstance(mechanism, PerModule | ScheduledTwoAnchor)
        super().__init__(transformer, len(self._plans), forwards_per_step, generation)

    @property
    def computing(self) -> bool | None:
        """Whether the pass under way computes its rows; None outside of one."""
        return None if self._pass is None else self._pass.computes

    @property
    def forwards_requested(self) -> int:
        """Row-forwards through the block stack that one pipeline call per schedule would have made so far."""
        self._settle()
        return self._count.requested

    @property
    def forwards_executed(self) -> int:
        """Row-forwards that ran."""
        self._settle()
        return self._count.executed

    @property
    def executed_by_sibling(self) -> tuple[int, ...]:
        """The same by sibling; a forward that several share counts for the first of them."""
        self._settle()
        return self._count.executed_by_sibling

    @property
    def computed_calls(self) -> tuple[int, ...]:
        """Transformer calls whose blocks ran for each sibling, since construction: counted where they run."""
        self._settle()
        return self._count.computed_calls

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
            hooks.append((stack.transformer, SplitHook(self)))
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

    def _begin_call(self, context_name: str | None) -> tuple[int, StepPlan, Histories]:
        """Step, plan and histories of the transformer call that starts now."""
        self._settle()
        step, branch, first = self._clock.tick(context_name)
        if first:
            self._histories.clear()
        plan = self._plans[step]
        return step, plan, self._histories.of_step(branch, plan)

    @_outside_graphs
    def begin(self, context_name: str | None) -> None:
        """Decide for a transformer call that all rows share."""
        step, plan, histories = self._begin_call(context_name)
        self._start(one_pass(plan, step, histories))

    def _start(self, current: StackPass) -> None:
        """Begin a pass, with the forecast where it needs nothing that the call will compute."""
        self._pass = current
        self._keeps = not current.computes or current.is_remembered
        self._predicted = self.forecast(RESIDUAL) if self._predicts_ahead and not current.computes else None

    def split_call(self, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context_name: str | None) -> Any:
        """Run a transformer call whose rows follow different schedules."""
        step, plan, histories = self._begin_call(context_name)
        arguments = self._stack.bind(args, kwargs)
        split = BatchSplit(plan, self._siblings, arguments["hidden_states"])
        if split.is_whole:
            self._start(one_pass(plan, step, histories))
            return forward(**arguments)
        results = []
        for current in split_passes(plan, step, histories):
            self._start(current)
            subset = self._stack.select_rows(arguments, split.rows(current))
            results.append(forward(**{**subset, "return_dict": False})[0])
            self._settle()
        sample = split.join(results)
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
        return self.forecast(RESIDUAL)

    def _settle(self) -> None:
        """Count the rows of the pass that ended, and remember their residual for the prefixes that need it later."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        entered, left = self._entered, self._left
        self._entered = self._left = None
        self._count.add(ended, self._rows)
        if left is not None and ended.is_remembered:
            self._histories.learn(ended, RESIDUAL, left, entered)
            if ended.probe is not None:
                self._histories.learn(ended, PROBE, ended.probe)

    def enter(self, batch_rows: int) -> None:
        """Count the rows of the pass under way, if it computes them."""
        if self._pass is not None:
            self._count.add(self._pass, batch_rows)

    def learn(self, slot: Slot, leaves: Tensor, enters: Tensor | None = None) -> None:
        """A tensor [R, ...] was computed: remember it, less what entered, for prefixes that need it later."""
        assert self._pass is not None
        self._histories.learn(self._pass, slot, leaves, enters)

    def forecast(self, slot: Slot) -> Tensor:
        """The forecast [R, ...] for the rows of the pass under way."""
        assert self._pass is not None
        return self._histories.forecast(self._pass, slot)

    def finish(self) -> None:
        """The pass is over; calls until the next one are not the interceptor's."""
        self._pass = None
