"""Lets a gate decide at each step, while the pipeline runs as it always does, and records what it decided.

Shapes: R batch rows, N image tokens, D features, C latent channels. All rows share one decision.
"""

from __future__ import annotations

from typing import Any

from diffusers.hooks.hooks import ModelHook
from torch import Tensor, nn

from recache_ray.caching.block_call import BlockCall
from recache_ray.caching.clock import Branch, GenerationToken
from recache_ray.caching.gates.gate import Gate
from recache_ray.caching.hook_set import HookSet
from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.stack_hooks import BlockHook, DriverHook
from recache_ray.caching.stack_interceptor import StackInterceptor
from recache_ray.caching.two_anchor import GatedMechanism, TwoAnchor
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules import Schedule


class AdaptiveInterceptor(StackInterceptor):
    """Computes or predicts the block stack's residual at each step, as a gate decides there and then.

    The gate is asked at the first block, after the embedders, as the published implementations do; with guidance in
    several transformer calls the first call of a step decides for the others. Under the schedule that arose,
    :class:`~recache_ray.caching.intercept.ScheduleInterceptor` gives the same bits.

    Args:
        transformer: the instance to intercept.
        gate: asked once per step.
        mechanism: what a cached step does; one that needs a probe has the first block run at every step.
        num_steps: T.
        forwards_per_step: transformer calls per step of pipelines that do not name their guidance branches.
        generation: see :class:`~recache_ray.caching.clock.StepClock`.

    Attributes:
        probes: calls of the first block at cached steps, in the newest generation.

    Raises:
        BadInputError: if the transformer's class is not known.

    Example:
        ``with AdaptiveInterceptor(pipe.transformer, gate, mechanism, 50) as run: pipe("a cat")``, then ``run.schedule``
    """

    def __init__(
        self,
        transformer: nn.Module,
        gate: Gate,
        mechanism: GatedMechanism,
        num_steps: int,
        forwards_per_step: int = 1,
        generation: GenerationToken | None = None,
    ) -> None:
        self._gate = gate
        self._mechanism = mechanism
        self._num_steps = num_steps
        self._mask: list[bool] = []
        self._computes: bool | None = None
        self._histories: dict[Branch, FeatureHistory] = {}
        self._velocity: Tensor | None = None
        self.probes = 0
        super().__init__(transformer, num_steps, forwards_per_step, generation)

    @property
    def schedule(self) -> Schedule:
        """The schedule that arose in the newest generation.

        Raises:
            RunFailedError: if that generation did not reach its last step.
        """
        if len(self._mask) != self._num_steps:
            raise RunFailedError(f"a gate decided {len(self._mask)} of {self._num_steps} steps; run a whole generation")
        return Schedule.from_mask(self._mask)

    @property
    def computing(self) -> bool | None:
        """Whether the call under way computes its blocks; True until the gate is asked, None outside of a call."""
        return self._computes

    def reset(self) -> None:
        """Forget the generation under way, but not the record of the newest one."""
        super().reset()
        self._forget()
        self._computes = None

    def begin(self, context_name: str | None) -> None:
        """A transformer call starts."""
        self._step, self._branch, first = self._clock.tick(context_name)
        if first:
            self._forget()
            self._gate.reset()
            self._mask.clear()
            self.probes = 0
        self._computes = True

    def take_latents(self, latents: Tensor) -> None:
        """The transformer's input [R, N, C]."""
        self._latents = latents

    def enter_stack(self, call: BlockCall) -> None:
        """Ask the gate, at the first call of a step."""
        if self._step == len(self._mask):
            self._deciding_branch = self._branch
            self._mask.append(self._gate.compute(self._step, _Signals(call, self._latents, self._velocity)))
        self._computes = self._mask[self._step]
        self._entered = call.image_tokens
        if isinstance(self._mechanism, TwoAnchor):
            self._probe = call.image_tokens_out() - call.image_tokens
        if not self._computes and call.has_run:
            self.probes += 1

    def leave_stack(self, image_tokens: Tensor) -> None:
        """Image tokens [R, N, D] leave the last block: remember the residual."""
        history = self._histories.get(self._branch) or self._mechanism.reset()
        residual = image_tokens - self._entered
        if isinstance(self._mechanism, TwoAnchor):
            history = self._mechanism.update(history, self._step, residual, self._probe)
        else:
            history = self._mechanism.update(history, self._step, residual)
        self._histories[self._branch] = history

    def forecast_stack(self) -> Tensor:
        """What leaves the bypassed stack: the tokens that entered it plus the predicted residual [R, N, D]."""
        history = self._histories.get(self._branch)
        if history is None:
            raise BadInputError(
                f"step {self._step}: this guidance branch was not called at a computed step before; "
                "every step must call the same branches, so turn off guidance intervals"
            )
        if isinstance(self._mechanism, TwoAnchor):
            return self._entered + self._mechanism.predict(history, self._probe)
        return self._entered + self._mechanism.predict(history, self._step)

    def give_velocity(self, velocity: Tensor) -> None:
        """The transformer's output [R, N, C] ends the call; the gate may look at it where it was computed."""
        if self._computes and self._branch == self._deciding_branch:
            self._velocity = velocity
        self._computes = None

    def _forget(self) -> None:
        self._histories.clear()
        self._velocity = None

    def _make_hooks(self) -> HookSet:
        first, last = self._stack.ends
        hooks: list[tuple[nn.Module, ModelHook]] = [(first, _LatentsHook(self)), (last, _VelocityHook(self))]
        hooks += [(block, BlockHook(self, self._stack, index)) for index, block in enumerate(self._stack.blocks)]
        return HookSet(self._stack.transformer, hooks)


class _Signals:
    """The signals of one step; what costs something is made when it is read."""

    def __init__(self, call: BlockCall, latents: Tensor, velocity: Tensor | None) -> None:
        self._call = call
        self.latents = latents
        self.velocity = velocity

    @property
    def modulated(self) -> Tensor:
        return self._call.modulated_input

    @property
    def probe_in(self) -> Tensor:
        return self._call.image_tokens

    @property
    def probe_out(self) -> Tensor:
        return self._call.image_tokens_out()


class _LatentsHook(DriverHook):
    """On the module that takes the latents: begins the call."""

    def __init__(self, interceptor: AdaptiveInterceptor) -> None:
        super().__init__(interceptor, entry=True)
        self._interceptor = interceptor

    def new_forward(self, module: nn.Module, *args: Tensor) -> Any:
        self._interceptor.begin(self.context_name)
        self._interceptor.take_latents(args[-1])
        original: Any = self.fn_ref.original_forward
        return original(*args)


class _VelocityHook(DriverHook):
    """On the module that gives the velocity: ends the call."""

    def __init__(self, interceptor: AdaptiveInterceptor) -> None:
        super().__init__(interceptor)
        self._interceptor = interceptor

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        original: Any = self.fn_ref.original_forward
        velocity = original(*args, **kwargs)
        self._interceptor.give_velocity(velocity)
        return velocity
