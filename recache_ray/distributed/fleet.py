"""The rollout actors of a pool: created all at once, watched while they start, replaced when lost.

Every actor has at most one call in flight, so a call that fails names what was lost. Ray's own restarts and retries are
off: they would reorder work and hide which task an actor had.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.autoscaler_status import launches
from recache_ray.distributed.cluster import workers_that_fit
from recache_ray.distributed.fleet_status import FleetStatus
from recache_ray.distributed.ledger import WorkItem
from recache_ray.distributed.outcome import Outcome, RemoteError
from recache_ray.distributed.ray_errors import cause
from recache_ray.distributed.rollout_actors import ActorSource
from recache_ray.errors import RunFailedError

_LOSSES_UNTIL_HOPELESS = 3
_LONGEST_PAUSE_S = 30.0
_STATUS_EVERY_S = 10.0
_REMINDER_EVERY_S = 60.0
# A look at every call in flight takes CPU in proportion to them: answers are gathered for this many times as long
# before the next, which bounds what looking takes of a core however large the fleet, and a small one waits for nothing
# noticeable.
_GATHER = 12.0
_DEADLINES_EVERY_S = 0.25


class Phase(Enum):
    """Where an actor is in its life."""

    LOST = "lost"
    WAITING = "waiting for a place"
    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"


@dataclass(slots=True, eq=False)
class Slot:
    """A place in the fleet, filled by one actor after another.

    Attributes:
        call: the one call in flight.
        item: the task of that call while BUSY.
        deadline: monotonic time at which the call counts as hung.
        losses: actors lost here since the last result.
        retry_at: monotonic time from which a lost actor may be replaced.
        asked_at: monotonic time at which the actor was asked for.
    """

    name: str
    phase: Phase = Phase.LOST
    actor: Any = None
    call: Any = None
    item: WorkItem | None = None
    deadline: float = float("inf")
    losses: int = 0
    retry_at: float = 0.0
    asked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Lost:
    """An actor is gone, hung or broken, and with it the task it had."""

    worker: str
    reason: str
    item: WorkItem | None


@dataclass(frozen=True, slots=True)
class Answered:
    """An actor finished its task."""

    item: WorkItem
    outcome: Outcome


class Fleet:
    """Keeps ``runtime.num_workers`` actors alive and runs one task at a time on each.

    Args:
        actors: where actors come from.
        section: number, reservations and time limits.
        on_status: told what a person waiting should know, one line at a time.

    Raises:
        BadInputError: if the local machine cannot hold ``runtime.min_workers`` actors.
    """

    def __init__(self, actors: ActorSource, section: RuntimeConfig, on_status: Callable[[str], None]) -> None:
        self._section = section
        self._on_status = on_status
        self._actors = actors
        fit = workers_that_fit(section)
        if fit < section.num_workers:
            on_status(f"runtime.num_workers = {section.num_workers}: this machine holds {fit}, starting {fit}")
        self.slots = [Slot(f"rollout-{index}") for index in range(fit)]
        self._in: dict[Phase, dict[Slot, None]] = {phase: {} for phase in Phase}  # in order of arrival
        self._in[Phase.LOST] = dict.fromkeys(self.slots)
        self._calls: dict[Any, Slot] = {}
        self._required = section.min_workers
        self._short_since = self._told_at = time.monotonic()
        self._look_s = self._deadlines_at = 0.0
        self.replace_lost()

    def count(self, *phases: Phase) -> int:
        """Slots in one of the phases."""
        return sum(len(self._in[phase]) for phase in phases)

    @property
    def open(self) -> bool:
        """Whether enough actors are ready: ``runtime.min_workers`` to begin with, then any."""
        return self.count(Phase.READY, Phase.BUSY) >= self._required

    def ready(self) -> Slot | None:
        """A slot that could take a task now."""
        return next(iter(self._in[Phase.READY]), None)

    def assign(self, slot: Slot, item: WorkItem) -> None:
        """Run a task on a ready slot. The snapshot travels by value, a few kilobytes inside the call."""
        self._move(slot, Phase.BUSY, slot.actor.run.remote(item.task, item.snapshot))
        slot.item = item
        slot.deadline = time.monotonic() + self._section.task_timeout_s

    def replace_lost(self) -> None:
        """Start a new actor in every empty slot whose pause is over."""
        now = time.monotonic()
        for slot in list(self._in[Phase.LOST]):
            if now >= slot.retry_at:
                slot.actor = self._actors.start(slot.name)
                self._move(slot, Phase.WAITING, slot.actor.ping.remote())
                slot.asked_at = now

    def wait(self, timeout_s: float) -> list[Answered | Lost]:
        """What happened within ``timeout_s``, returning soon after something did, with what came right after it.

        Raises:
            RecacheError: that a worker met while starting.
            RunFailedError: if every slot keeps losing its actor.
        """
        if not self._calls:
            time.sleep(timeout_s)
            return []
        calls = list(self._calls)
        began = time.thread_time()
        done, _ = ray.wait(calls, num_returns=1, timeout=timeout_s)
        if done:
            time.sleep(_GATHER * self._look_s)
            done, _ = ray.wait(calls, num_returns=len(calls), timeout=0)
            self._look_s = time.thread_time() - began
        events = [self._settle(self._calls.pop(call)) for call in done]
        now = time.monotonic()
        if now >= self._deadlines_at:
            self._deadlines_at = now + _DEADLINES_EVERY_S
            events += [self._expire(slot) for slot in list(self._calls.values()) if now >= slot.deadline]
        return [event for event in events if event is not None]

    def check_startup(self) -> None:
        """Say every 10 s how far the start is, and give up after ``runtime.startup_timeout_s``.

        Once there are enough actors, work goes on and those still without a place are recalled every minute.

        Raises:
            RunFailedError: if too few actors were ready for that long.
        """
        now = time.monotonic()
        if self.open:
            self._required = 1
            self._short_since = now
            if self.count(Phase.WAITING) and now - self._told_at >= _REMINDER_EVERY_S:
                self._tell(now)
            return
        if now - self._short_since >= self._section.startup_timeout_s:
            status = self._status()
            raise RunFailedError(
                f"{status.line()} after runtime.startup_timeout_s = {self._section.startup_timeout_s:g} s; "
                f"{status.remedy()}"
            )
        if now - self._told_at >= _STATUS_EVERY_S:
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._told_at = now
        self._on_status(self._status().line())

    def end(self) -> None:
        """Kill every actor."""
        for slot in self.slots:
            if slot.actor is not None:
                self._actors.kill(slot.actor)
        self.slots = []
        self._calls.clear()
        self._in = {phase: {} for phase in Phase}

    def _move(self, slot: Slot, phase: Phase, call: Any = None) -> None:
        """Every change of phase, with the call it begins; kept, since looking through hundreds of slots costs CPU."""
        del self._in[slot.phase][slot]
        self._in[phase][slot] = None
        slot.phase, slot.call = phase, call
        if call is not None:
            self._calls[call] = slot

    def _settle(self, slot: Slot) -> Answered | Lost | None:
        call, slot.call = slot.call, None
        slot.deadline = float("inf")
        try:
            answer = ray.get(call)
        except RayTaskError as error:  # the host returns what its worker raises, so this is the call itself
            answer = Outcome(error=RemoteError.of(error))
        except RayError as error:
            return self._lose(slot, cause(error))
        if slot.phase is Phase.WAITING:
            self._move(slot, Phase.LOADING, slot.actor.start.remote())
            slot.deadline = time.monotonic() + self._section.startup_timeout_s
            return None
        self._relay(slot, answer)
        if slot.phase is Phase.LOADING:
            return self._started(slot, answer)
        item, slot.item = slot.item, None
        self._move(slot, Phase.READY)
        slot.losses = 0
        return Answered(item, answer) if item is not None else None

    def _started(self, slot: Slot, outcome: Outcome) -> Lost | None:
        if outcome.error is None:
            self._move(slot, Phase.READY)
            return None
        error = outcome.error.exception()
        if error is not None:
            raise error
        return self._lose(slot, f"its worker cannot be built: {outcome.error.message}")

    def _expire(self, slot: Slot) -> Lost:
        name, limit = (
            ("runtime.task_timeout_s", self._section.task_timeout_s)
            if slot.phase is Phase.BUSY
            else ("runtime.startup_timeout_s", self._section.startup_timeout_s)
        )
        return self._lose(slot, f"no answer within {name} = {limit:g} s")

    def _lose(self, slot: Slot, reason: str) -> Lost:
        self._actors.kill(slot.actor)
        self._calls.pop(slot.call, None)
        item, slot.item = slot.item, None
        slot.actor = None
        slot.deadline = float("inf")
        self._move(slot, Phase.LOST)
        slot.losses += 1
        slot.retry_at = time.monotonic() + min(2.0 ** (slot.losses - 1) - 1.0, _LONGEST_PAUSE_S)
        self._on_status(f"lost {slot.name}: {reason}")
        if all(other.losses >= _LOSSES_UNTIL_HOPELESS for other in self.slots):
            raise RunFailedError(
                f"rollout workers keep failing, {sum(other.losses for other in self.slots)} lost without a result; "
                f"the last: {reason}; see that the model fits the memory of a worker"
            )
        return Lost(slot.name, reason, item)

    def _relay(self, slot: Slot, outcome: Outcome) -> None:
        for line in outcome.warnings:
            self._on_status(f"{slot.name}: {line}")

    def _status(self) -> FleetStatus:
        waiting = self._in[Phase.WAITING]
        now = time.monotonic()
        return FleetStatus(
            slots=len(self.slots),
            ready=self.count(Phase.READY, Phase.BUSY),
            loading=self.count(Phase.LOADING),
            waiting=len(waiting),
            lost=self.count(Phase.LOST),
            waited_s=max((now - slot.asked_at for slot in waiting), default=0.0),
            reservation={"GPU": self._section.gpus_per_worker, "CPU": self._section.cpus_per_worker},
            cluster=ray.cluster_resources(),
            launches=launches() if waiting else "",
        )
