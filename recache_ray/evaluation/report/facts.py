"""What the run cost and where it ran, from what it recorded itself."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.evaluation.search_cost import parts_text, total_work
from recache_ray.evaluation.table import POLICY
from recache_ray.evaluation.work import Work


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its name and a word on how it came about."""

    name: str
    value: str
    note: str = ""


def cost_facts(inputs: ReportInputs) -> tuple[Fact, ...]:
    """Updates, rewards, forwards saved and time; what was not recorded is left out."""
    learned = [line for line in inputs.lines if "reward/mean" in line.metrics]
    rewards = sum(line.metrics.get("rollout/evaluations") or 0.0 for line in learned)
    polish, confirm = (
        max((line.metrics.get(f"{phase}/evaluations") or 0.0 for line in inputs.lines), default=0.0)
        for phase in ("polish", "confirm")
    )
    saved = [v for line in learned if (v := line.metrics.get("rollout/forwards_saved")) is not None]
    facts = []
    if learned:
        facts.append(Fact("policy updates", f"{len(learned)}"))
        note = f"{rewards:,.0f} by the policy gradient, {polish:,.0f} polishing, {confirm:,.0f} confirming"
        facts.append(Fact("rewards measured", f"{rewards + polish + confirm:,.0f}", note))
    if saved:
        note = "of those that one pipeline call per schedule would take, mean over the updates"
        facts.append(Fact("forwards saved", f"{sum(saved) / len(saved):.0%}", note))
    if len(inputs.lines) > 1:
        seconds = max(line.time for line in inputs.lines) - min(line.time for line in inputs.lines)
        facts.append(Fact("first to last record", duration(seconds), "pauses between resumes included"))
    failures = sum(line.metrics.get("rollout/failures") or 0.0 for line in learned)
    if failures:
        facts.append(Fact("failed tasks", f"{failures:,.0f}"))
    return tuple(facts)


def origin_facts(inputs: ReportInputs) -> tuple[Fact, ...]:
    """Seed, date, machine, model and versions, as ``schedules.json`` has them."""
    source, model, mechanism = inputs.table.provenance, inputs.table.model, inputs.table.mechanism
    gpu = f", {source['gpu']}" if "gpu" in source else ""
    machine = f"{source.get('cpu_count', '?')} x {source['cpu']}{gpu}" if "cpu" in source else ""
    pairs: Iterable[tuple[str, object]] = (
        ("seed", source.get("seed", inputs.seed)),
        ("date", source.get("date", "")),
        ("commit", source.get("git_commit", "")),
        ("machine", machine),
        ("model", " ".join(str(model[key]) for key in ("id", "pipeline_class", "dtype") if key in model)),
        ("model revision", model.get("revision", "")),
        ("mechanism", " ".join(str(mechanism[key]) for key in ("id", "cut") if key in mechanism)),
        ("python", source.get("python", "")),
        *((key.removeprefix("version/"), value) for key, value in source.items() if key.startswith("version/")),
    )
    return tuple(Fact(name, str(value)) for name, value in pairs if str(value))


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one method ran to find its schedules.

    Attributes:
        relative: its forwards over those of the policy; NaN where the run did not record its own.
        parts: where the forwards went.
    """

    method: str
    budgets: int
    work: Work
    relative: float
    parts: str


def cost_lines(inputs: ReportInputs) -> tuple[CostLine, ...]:
    """A line per method that ran something, the policy first."""
    totals = total_work(inputs.costs)
    ours = totals[POLICY].forwards_executed if POLICY in totals else 0
    lines = []
    for method, work in totals.items():
        own = [cost for cost in inputs.costs if cost.method == method]
        budgets = len({budget for cost in own for budget in cost.budgets})
        relative = work.forwards_executed / ours if ours else math.nan
        lines.append(CostLine(method, budgets, work, relative, parts_text(own)))
    return tuple(lines)


def duration(seconds: float) -> str:
    """For people: ``42 s``, ``7 min``, ``3.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
