"""Drives searches side by side through a pool: each waits for its own answers only, so that no worker waits for one.

A question's tasks hold schedules of that question alone. What runs in one batch, and with it the last bits of a
reward, therefore depends on no other search and on no timing.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from recache_ray.baselines.search import Search, SearchResult
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.measure import OnProgress
from recache_ray.evaluation.search.journal import Round, SearchJournal
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, RolloutFailure, RolloutGroup, RolloutTask

SCHEDULES_PER_TASK = 24

FAILED = -1e6
"""Value of a schedule whose generation is not finite: below any other, and finite as searches require."""

Judge = Callable[[Sequence[float]], float]
"""Rewards of one schedule on all prompts to its value."""

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Planned:
    """A search to be run, the journal of its answers, and a bound on the schedules it will ask for."""

    search: Search
    journal: SearchJournal
    reach: int


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search, and what it ran, earlier processes included."""

    result: SearchResult
    work: Work


@dataclass
class _Running(Generic[Name]):
    """A search between its questions; ``rewards`` of the question on hand come in by request and schedule."""

    name: Name
    planned: Planned
    asked: tuple[Schedule, ...] = ()
    open_tasks: int = 0
    rewards: dict[tuple[GenerationRequest, Schedule], float] = field(default_factory=dict)
    spent: Work = field(default_factory=Work)
    work: Work = field(default_factory=Work)
    result: SearchResult | None = None

    def start(self) -> None:
        """Ask the first question the journal has no answer to."""
        self._advance(None)
        for played in self.planned.journal.rounds:
            if played.schedules != self.asked:
                raise BadInputError(
                    f"{self.planned.journal.path}: holds the answers of another search; delete it to search again"
                )
            self.work += played.work
            self._advance(dict(zip(played.schedules, played.values, strict=True)))

    def answer(self, requests: Sequence[GenerationRequest], judge: Judge) -> None:
        """All rewards are in: record the round and ask the next question."""
        values = tuple(self._value([self.rewards[request, each] for request in requests], judge) for each in self.asked)
        self.planned.journal.append(Round(self.asked, values, self.spent))
        self.work += self.spent
        self.rewards, self.spent = {}, Work()
        self._advance(dict(zip(self.asked, values, strict=True)))

    def _value(self, rewards: Sequence[float], judge: Judge) -> float:
        return FAILED if FAILED in rewards else judge(rewards)

    def _advance(self, told: Mapping[Schedule, float] | None) -> None:
        try:
            self.asked = next(self.planned.search) if told is None else self.planned.search.send(told)
        except StopIteration as ended:
            self.asked, self.result = (), ended.value


def run_searches(
    pool: RolloutPool,
    searches: Mapping[Name, Planned],
    requests: Sequence[GenerationRequest],
    mechanism: MechanismSpec,
    judge: Judge,
    *,
    on_progress: OnProgress | None = None,
) -> dict[Name, Found]:
    """Run every search to its end on the mean over ``requests``, whose references must be stored.

    The same arguments give the same results, whichever pool runs them and wherever they were interrupted. A schedule
    whose generation fails for good gets the value ``FAILED``; in a task of several the others are run again alone.

    Args:
        on_progress: called with (``search``, pairs of request and schedule run here, the most that will be).

    Raises:
        BadInputError: if a journal holds the answers of another search, or a search refuses its arguments.
        RunFailedError: if a task is lost, every schedule of a search failed, or a journal cannot be written.
    """
    running = [_Running(name, planned) for name, planned in searches.items()]
    task_ids, waiting = itertools.count(), deque[RolloutTask]()
    owners: dict[int, tuple[_Running[Name], RolloutTask]] = {}

    def queue(one: _Running[Name], request: GenerationRequest, schedules: tuple[Schedule, ...]) -> None:
        task = RolloutTask(next(task_ids), request, mechanism, schedules=schedules)
        owners[task.task_id] = (one, task)
        one.open_tasks += 1
        waiting.append(task)

    def ask(one: _Running[Name]) -> None:
        ordered = sorted(one.asked)
        for request in requests:
            for start in range(0, len(ordered), SCHEDULES_PER_TASK):
                queue(one, request, tuple(ordered[start : start + SCHEDULES_PER_TASK]))

    for one in running:
        one.start()
        ask(one)
    known = sum(len(played.schedules) for one in running for played in one.planned.journal.rounds)
    total = len(requests) * max(0, sum(one.planned.reach for one in running) - known)
    done = 0
    while owners:
        while waiting and pool.in_flight < 2 * pool.capacity:
            pool.submit(waiting.popleft())
        for result in pool.collect(timeout_s=1.0):
            if result.task_id not in owners:
                continue  # of a phase before this one
            one, task = owners.pop(result.task_id)
            one.open_tasks -= 1
            if isinstance(result, RolloutGroup):
                one.rewards |= {(task.request, each.schedule): each.breakdown.reward for each in result.rollouts}
                one.spent += _work(result)
                done += len(task.schedules)
            elif isinstance(result, RolloutFailure) and not result.retryable:
                if len(task.schedules) == 1:
                    one.rewards[task.request, task.schedules[0]] = FAILED
                    done += 1
                else:
                    for schedule in task.schedules:
                        queue(one, task.request, (schedule,))
            else:
                reason = getattr(result, "reason", "an answer of another kind")
                raise RunFailedError(f"search {one.name}: a task was lost ({reason}); run the same command again")
            if not one.open_tasks:
                one.answer(requests, judge)
                ask(one)
        if on_progress is not None and total:
            on_progress("search", total if not owners else min(done, total), total)
        if owners and not waiting and not pool.in_flight:
            raise RunFailedError(f"search: {len(owners)} tasks were never answered; run the same command again")
    return {one.name: _found(one) for one in running}


def _work(group: RolloutGroup) -> Work:
    return Work(len(group.rollouts), group.forwards_requested, group.forwards_executed, group.seconds)


def _found(one: _Running[Name]) -> Found:
    assert one.result is not None
    if one.result.reward <= FAILED:
        raise RunFailedError(f"search {one.name}: no generation was finite; use model.dtype=float32")
    return Found(one.result, one.work)
