"""Brings the configured adaptive baselines to every budget, on prompts that are not those of the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN, gate_at_budget, gate_mechanism
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.caching.gates.teacache import fit_polynomial
from recache_ray.config.root import Config
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.gate_threshold import MatchedGate, ThresholdSearch
from recache_ray.evaluation.gates import GatedMethod
from recache_ray.evaluation.measure import run_tasks
from recache_ray.evaluation.measured_gates import MeasuredGates
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import GateSpec, GenerationRequest, MechanismSpec, SignalReport, SignalTask


@dataclass(frozen=True, slots=True)
class Gates:
    """What adaptive baselines became: methods that decide as they go, and frozen ones by budget.

    Attributes:
        work: what finding the thresholds behind each of them took, by its name.
    """

    adaptive: Mapping[str, GatedMethod] = field(default_factory=dict)
    frozen: Mapping[str, Mapping[int, tuple[Schedule, ...]]] = field(default_factory=dict)
    work: Mapping[str, Work] = field(default_factory=dict)


def gate_requests(config: Config) -> tuple[GenerationRequest, ...]:
    """The calibration requests: validation prompts, or train prompts where validation is what is evaluated."""
    if not _wanted(config):
        return ()
    prompts = prompt_set(config)
    chosen = prompts.train if config.evaluation.split == "validation" else prompts.validation
    return requests_of(chosen[: config.evaluation.gate_prompts])


def find_gates(
    config: Config,
    pool: RolloutPool,
    mechanism: MechanismSpec,
    budgets: Sequence[int],
    on_progress: OnProgress,
    memory: MeasuredGates | None = None,
) -> Gates:
    """Find the threshold of every configured adaptive baseline at every budget; references must be stored.

    Thresholds that ``memory`` knows do not run again. Says which budgets a gate does not reach, and what it computes
    instead.

    Raises:
        BadInputError: if TeaCache's polynomial cannot be fitted.
        RunFailedError: if a calibration generation fails.
    """
    wanted = _wanted(config)
    if not wanted:
        return Gates()
    requests, num_steps = gate_requests(config), config.model.num_steps
    polynomial, signals = _polynomial(pool, requests, on_progress) if "teacache" in wanted else ((), Work())
    works: dict[str, Work] = {}
    matches: dict[str, dict[int, MatchedGate]] = {}
    for name in wanted:
        searches: dict[GateSpec, ThresholdSearch] = {}
        for budget in budgets:
            gate = gate_at_budget(name, num_steps, budget, polynomial)
            if gate not in searches:
                rule = gate_mechanism(name, mechanism)
                searches[gate] = ThresholdSearch(pool, gate, requests, rule, num_steps, memory=memory)
            found = searches[gate].match(budget)
            matches.setdefault(name, {})[budget] = found
            on_progress(_said(name, found))
        works[name] = sum((search.work for search in searches.values()), signals if name == "teacache" else Work())
    chosen = config.evaluation.baselines
    return Gates(
        adaptive={
            name: GatedMethod(gate_mechanism(name, mechanism), {k: match.gate for k, match in by_budget.items()})
            for name, by_budget in matches.items()
            if name in chosen
        },
        frozen={
            f"{name}_frozen": {k: (match.frozen,) for k, match in by_budget.items()}
            for name, by_budget in matches.items()
            if f"{name}_frozen" in chosen
        },
        work={each: works[each.removesuffix("_frozen")] for each in chosen if each.removesuffix("_frozen") in works},
    )


def _wanted(config: Config) -> tuple[str, ...]:
    """Names of the gates behind the configured baselines, each once."""
    names = [name for name in config.evaluation.baselines if name in (*ADAPTIVE, *FROZEN)]
    return tuple(dict.fromkeys(name.removesuffix("_frozen") for name in names))


def _said(name: str, match: MatchedGate) -> str:
    nearest = "" if match.reached else f", the nearest to {match.budget} it reaches"
    return (
        f"{name} at budget {match.budget}: threshold {match.gate.threshold:.4g}, "
        f"{match.computed_steps_mean:.2f} computed steps on average{nearest}"
    )


def _polynomial(
    pool: RolloutPool, requests: Sequence[GenerationRequest], on_progress: OnProgress
) -> tuple[tuple[float, ...], Work]:
    """TeaCache's polynomial, fitted to uncached generations of the calibration requests, and what these took."""
    clock = PhaseClock("evaluate", len(requests))
    tasks = [SignalTask(place, request) for place, request in enumerate(requests)]
    results = run_tasks(pool, tasks, "signals", lambda _, done, __: on_progress(clock.at(done)))
    reports = [result for result in results if isinstance(result, SignalReport)]
    if len(reports) < len(tasks):
        failed = next(result for result in results if not isinstance(result, SignalReport))
        raise RunFailedError(f"recording TeaCache's signals failed: {getattr(failed, 'reason', 'no answer')}")
    inputs = [change for report in reports for change in report.input_changes]
    outputs = [change for report in reports for change in report.output_changes]
    forwards = sum(report.forwards for report in reports)
    work = Work(len(reports), forwards, forwards, sum(report.seconds for report in reports))
    return fit_polynomial(inputs, outputs), work
