"""The verb ``plan``: what a run would take, before a model is downloaded or a machine rented."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.table import Table

from recache_ray.build.architecture import configured_architecture, configured_size, model_name
from recache_ray.build.measured_cost import measured_cost
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.build.plain_text import plain
from recache_ray.build.plan_money import money_lines
from recache_ray.build.workload import Phase, workload
from recache_ray.caching.footprint import Footprint, footprint
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.root import Config, check_learnable
from recache_ray.diffusion.architecture import Architecture, Size, architecture
from recache_ray.diffusion.cost import StepCost
from recache_ray.diffusion.forward_cost import ForwardCost, count_forward, planned_step
from recache_ray.diffusion.memory import GIB, MemoryNeed, memory_need
from recache_ray.errors import BadInputError
from recache_ray.schedules import BudgetCost, Schedule, parse_budgets


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would take.

    Attributes:
        name: of the model.
        model: its architecture.
        size: of a generation.
        num_steps: T.
        dtype: of weights and features.
        forward: one transformer call.
        step: FLOPs and seconds of steps, the latter measured or assumed.
        measured_on: device on which seconds were measured; empty where they are assumed.
        memory: of one worker.
        budgets: to learn.
        phases: of the run.
    """

    name: str
    model: Architecture
    size: Size
    num_steps: int
    dtype: str
    forward: ForwardCost
    step: StepCost
    measured_on: str
    memory: MemoryNeed
    budgets: tuple[int, ...]
    phases: tuple[Phase, ...]


def plan(config: Config) -> str:
    """Return the plan of ``recache train`` under the same settings as text.

    Raises:
        BadInputError: if the model is not known, a size does not fit it, or a budget cannot be resolved.
    """
    return _as_text(config, make_plan(config))


def make_plan(config: Config) -> RunPlan:
    """Count everything.

    Raises:
        BadInputError: as :func:`plan`.
    """
    section = config.plan
    name, model, size, num_steps, dtype = _model(config)
    kept: Footprint = footprint(build_mechanism(mechanism_spec(config)))
    forward = count_forward(model, size)
    assumed = planned_step(forward, model.forwards_per_step, kept, section.peak_tflops * 1e12 * section.utilisation)
    measured = None if section.architecture else measured_cost(config)
    step = measured.step if measured else assumed
    cost = BudgetCost(step.cached_flops / step.computed_flops)
    if measured:
        cost = replace(cost, computed_s=step.computed_s, cached_s=step.cached_s)
    budgets = parse_budgets(config.learning.budgets, num_steps, cost=cost, name="learning.budgets")
    check_learnable(budgets, config.learning.budgets)
    return RunPlan(
        name=name,
        model=model,
        size=size,
        num_steps=num_steps,
        dtype=dtype,
        forward=forward,
        step=step,
        measured_on=measured.device if measured else "",
        memory=memory_need(model, size, dtype, kept),
        budgets=budgets,
        phases=workload(config, budgets, num_steps),
    )


def _model(config: Config) -> tuple[str, Architecture, Size, int, str]:
    """Name, architecture, size, T and dtype of what is planned."""
    section = config.plan
    if not section.architecture:
        if section.size:
            raise BadInputError(
                f"plan.size = {section.size!r}: goes with plan.architecture; set model.height, width and frames"
            )
        model = configured_architecture(config)
        return (
            model_name(config.model),
            model,
            configured_size(config.model),
            config.model.num_steps,
            config.model.dtype,
        )
    model = architecture(section.architecture)
    assert model.published is not None
    size = _size(section.size) if section.size else model.published.size
    return model.name, model, size, model.published.num_steps, model.published.dtype


def _size(text: str) -> Size:
    match = re.fullmatch(r"(\d+)x(\d+)(?:x(\d+))?", text.strip().lower())
    if match is None:
        raise BadInputError(f"plan.size = {text!r}: is no size; write width x height x frames as 832x480x81")
    return Size(height=int(match[2]), width=int(match[1]), frames=int(match[3] or 1))


def _as_text(config: Config, made: RunPlan) -> str:
    lines = [
        f"{made.name} {made.size}, T = {made.num_steps}, {mechanism_spec(config).id}, {made.dtype}",
        *_model_lines(made),
        "",
        _budget_table(made),
        *_memory_lines(config, made),
        "",
        _phase_table(config, made),
        *money_lines(config, made.phases, made.step),
        *_assumptions(config, made),
    ]
    return "\n".join(lines)


def _model_lines(made: RunPlan) -> list[str]:
    forward, need = made.forward, made.memory
    full = made.step.flops(Schedule.full(made.num_steps))
    return [
        f"forward    {_flops(forward.flops)}, {forward.attention_flops / forward.flops:.0%} of it attention products; "
        f"{made.model.forwards_per_step} a step",
        f"uncached   {_flops(full)} a generation; a cached step takes "
        f"{100 * made.step.cached_flops / made.step.computed_flops:.3f}% of a computed one",
        f"weights    {need.weights / GIB:.2f} GiB, the transformer alone",
    ]


def _budget_table(made: RunPlan) -> str:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("budget", "FLOPs", "ratio", "seconds", "ratio of seconds"):
        table.add_column(column, justify="right")
    full = Schedule.full(made.num_steps)
    for budget in (*made.budgets, *(() if made.num_steps in made.budgets else (made.num_steps,))):
        schedule = Schedule(made.num_steps, tuple(range(budget)))
        seconds = made.step.seconds(schedule)
        table.add_row(
            f"{budget}/{made.num_steps}",
            _flops(made.step.flops(schedule)),
            f"÷{made.step.flops_ratio(schedule):.2f}",
            f"{seconds:.3g}",
            f"÷{made.step.seconds(full) / seconds:.2f}",
        )
    return plain(table)


def _memory_lines(config: Config, made: RunPlan) -> list[str]:
    need, siblings = made.memory, config.runtime.max_batch
    available = round(config.plan.memory_gib * GIB)
    fits = need.most_siblings(available)
    verdict = f"{config.plan.memory_gib:g} GiB hold {fits} siblings and the weights, activations not counted"
    if fits < siblings:
        remedy = f"set runtime.max_batch={fits}, lower" if fits else "take another device, lower"
        verdict = f"does NOT fit {config.plan.memory_gib:g} GiB: {remedy} mechanism.order or choose mechanism=reuse"
    return [
        f"cache      {_size_text(need.held(1))} a sibling ({need.branches} guidance "
        f"{'branches' if need.branches > 1 else 'branch'}), {_size_text(need.peak(siblings))} at most for "
        f"runtime.max_batch = {siblings}",
        f"memory     {verdict}",
    ]


def _phase_table(config: Config, made: RunPlan) -> str:
    table = Table(box=box.SIMPLE_HEAD)
    workers = config.runtime.num_workers
    for column in ("phase", "generations", "computed steps", "FLOPs", "GPU-hours", f"hours, {workers} workers"):
        table.add_column(column, justify="left" if column == "phase" else "right")
    for name, phases in (*((phase.name, (phase,)) for phase in made.phases), ("total", made.phases)):
        hours = sum(phase.seconds(made.step, config.plan.extra_s) for phase in phases) / 3600
        table.add_row(
            name,
            f"{sum(phase.generations for phase in phases):,}",
            f"{sum(phase.computed_steps for phase in phases):,.0f}",
            _flops(sum(phase.flops(made.step) for phase in phases)),
            f"{hours:.3g}",
            f"{hours / workers:.3g}",
            end_section=name == made.phases[-1].name,
        )
    return plain(table)


def _assumptions(config: Config, made: RunPlan) -> Sequence[str]:
    section = config.plan
    speed = (
        f"seconds of a step measured on {made.measured_on} ({config.run.dir})"
        if made.measured_on
        else f"{section.peak_tflops:g} TFLOP/s x utilisation {section.utilisation:g} = "
        f"{section.peak_tflops * section.utilisation:.0f} TFLOP/s a device (assumed; recache bench step measures)"
    )
    return [
        f"speed      {speed}",
        f"sharing    {section.executed_share:g} of the requested forwards run in training (assumed; shapes: 0.80); "
        "known rewards are not taken off",
        f"besides    {section.extra_s:g} s a generation for decoding and reward (assumed)",
        "left out   text encoders, calibration and thresholds of rivals, starting workers",
        "hours      of one device a worker, none of which ever waits",
    ]


def _flops(flops: float) -> str:
    for unit, size in (("EF", 1e18), ("PF", 1e15), ("TF", 1e12), ("GF", 1e9)):
        if flops >= size:
            return f"{flops / size:.4g} {unit}"
    return f"{flops / 1e6:.4g} MF"


def _size_text(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / 1e6:.3g} MB"
