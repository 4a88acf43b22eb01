"""The verb ``bench mechanisms``: what a cached step of each mechanism costs, and how near to the reference it stays."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from recache_ray.baselines.uniform import uniform
from recache_ray.build.budgets import evaluation_budgets
from recache_ray.build.pool import open_pool
from recache_ray.build.probe import probe_model, step_cost
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.references import fill_references
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.caching.registry import parse_mechanism
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.measure import measure
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.tracking.provenance import provenance
from recache_ray.types import GenerationRequest, MechanismSpec

_MECHANISMS = (
    *("reuse", "taylor1", "taylor2", "newton2", "hermite2", "foca", "freqca2"),
    *("fora", "taylor1_modules", "hermite2_modules", "delta", "dcta"),
)


@dataclass(frozen=True, slots=True)
class MechanismRow:
    """One mechanism under the uniform schedules.

    Attributes:
        mechanism: its id.
        cached_flops_share: FLOPs of a cached step as a share of a computed one's.
        cached_s_share: the same of seconds.
        lpips: mean over prompts, by budget.
        flops_ratio: FLOPs of the uncached generation over those at a budget, by budget.
    """

    mechanism: str
    cached_flops_share: float
    cached_s_share: float
    lpips: Mapping[int, float]
    flops_ratio: Mapping[int, float]


def bench_mechanisms(config: Config, on_progress: OnProgress) -> str:
    """Run every mechanism under the uniform schedule of every evaluated budget, on the first ``bench.prompts`` of test.

    The figures also go to ``run.dir/bench_mechanisms.json``.

    Raises:
        BadInputError, RunFailedError: if a setting does not fit, or a generation fails.
    """
    mechanisms = tuple(map(parse_mechanism, config.bench.mechanisms or _MECHANISMS))
    prompts = prompt_set(config).test
    if len(prompts) < config.bench.prompts:
        raise BadInputError(
            f"bench.prompts = {config.bench.prompts}: there are {len(prompts)} test prompts; raise prompts.num_test"
        )
    requests = requests_of(prompts[: config.bench.prompts])
    schedules = {budget: uniform(config.model.num_steps, budget) for budget in evaluation_budgets(config)}
    clock, rows = PhaseClock("bench", len(mechanisms)), []
    with open_pool(config, on_progress) as pool:
        fill_references(pool, requests, config.references.requests_per_task, on_progress)
        for mechanism in mechanisms:
            rows.append(_measured(pool, mechanism, schedules, requests))
            on_progress(clock.at(len(rows)))
    output = Path(config.run.dir) / "bench_mechanisms.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "num_steps": config.model.num_steps,
        "prompts": len(requests),
        "schedules": {budget: schedule.compute_steps for budget, schedule in schedules.items()},
        "rows": [asdict(row) for row in rows],
        "provenance": provenance(config.run.seed),
    }
    output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    buffer = io.StringIO()
    Console(file=buffer, width=120).print(_table(rows, tuple(schedules)))
    return f"{buffer.getvalue().rstrip()}\nwrote {output}"


def _measured(
    pool: RolloutPool,
    mechanism: MechanismSpec,
    schedules: Mapping[int, Schedule],
    requests: Sequence[GenerationRequest],
) -> MechanismRow:
    cost = step_cost(probe_model(pool, mechanism, requests[0]))
    methods = {"uniform": {budget: (schedule,) for budget, schedule in schedules.items()}}
    found = measure(pool, methods, requests, mechanism, max_failure_share=0.0)
    return MechanismRow(
        mechanism=mechanism.id,
        cached_flops_share=cost.cached_flops / cost.computed_flops,
        cached_s_share=cost.cached_share,
        lpips={
            budget: fmean(found.breakdowns[request, schedule].metrics["lpips"] for request in requests)
            for budget, schedule in schedules.items()
        },
        flops_ratio={budget: cost.flops_ratio(schedule) for budget, schedule in schedules.items()},
    )


def _table(rows: Sequence[MechanismRow], budgets: Sequence[int]) -> Table:
    table = Table(title="uniform schedules: LPIPS, and FLOPs saved", caption="LPIPS ÷ how many times cheaper")
    table.add_column("mechanism")
    table.add_column("cached step, FLOPs", justify="right")
    table.add_column("seconds", justify="right")
    for budget in budgets:
        table.add_column(f"k = {budget}", justify="right")
    for row in rows:
        cells = (f"{row.lpips[budget]:.4f} ÷{row.flops_ratio[budget]:.2f}" for budget in budgets)
        table.add_row(row.mechanism, f"{row.cached_flops_share:.1%}", f"{row.cached_s_share:.1%}", *cells)
    return table
