"""Reads an evaluated run's folder into what is published of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN
from recache_ray.baselines.offline import OFFLINE
from recache_ray.baselines.searches import SEARCHES
from recache_ray.errors import BadInputError
from recache_ray.evaluation.frontier import FrontierRow, read_frontier
from recache_ray.evaluation.paired import PromptMeans, paired_geometric_mean, prompt_means, typical_ratio
from recache_ray.evaluation.results.order import decided_pairs
from recache_ray.evaluation.results.records import MethodResult, Point, RunResult
from recache_ray.evaluation.samples import SAMPLES, Sample
from recache_ray.evaluation.search_cost import COSTS, total_work
from recache_ray.evaluation.table import POLICY
from recache_ray.schedules import ScheduleTable


def family_of(method: str) -> str:
    """The kind of method a name of the frontier stands for."""
    families = {"calibrated": OFFLINE, "search": tuple(SEARCHES), "adaptive": ADAPTIVE, "adaptive, frozen": FROZEN}
    for family, members in families.items():
        if method in members:
            return family
    return "ours" if method == POLICY else "uniform" if method.startswith("uniform") else "random"


def collect_run(folder: Path, command: str, *, bootstrap_samples: int) -> RunResult:
    """What ``recache results`` publishes of the run in ``folder``.

    Args:
        folder: a run's folder after ``recache evaluate``.
        command: what made the run, typed as one would again.
        bootstrap_samples: resamplings behind every interval.

    Raises:
        BadInputError: if the run is not finished or not evaluated, or a file is damaged or of another evaluation.
    """
    remedy = f"recache evaluate run.dir={folder}"
    evaluation = folder / "evaluation"
    for path in (folder / "schedules.json", evaluation / "frontier.parquet", evaluation / "samples.parquet"):
        if not path.exists():
            raise BadInputError(f"{folder}: has no {path.relative_to(folder)}; finish and evaluate the run: {remedy}")
    table = ScheduleTable.load(folder / "schedules.json")
    rows, samples = read_frontier(evaluation / "frontier.parquet"), SAMPLES.read(evaluation / "samples.parquet")
    ours = [row for row in rows if row.schedule == POLICY]
    if not ours:
        raise BadInputError(f"{evaluation / 'frontier.parquet'}: has no row of the policy; write it again: {remedy}")
    costs = total_work(COSTS.read(evaluation / "cost.parquet")) if (evaluation / "cost.parquet").exists() else {}
    source = table.provenance
    seed = int(source.get("seed", 0))
    by_point: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        by_point.setdefault((sample.schedule, sample.budget), []).append(sample)
    if {key: len(found) for key, found in by_point.items()} != {(r.schedule, r.budget): r.num_samples for r in rows}:
        raise BadInputError(f"{evaluation}: frontier and samples are of two evaluations; write them again: {remedy}")
    means = {key: prompt_means(found) for key, found in by_point.items()}
    names = dict.fromkeys((POLICY, *(row.schedule for row in rows)))
    found = []
    for name in names:
        own = sorted((row for row in rows if row.schedule == name), key=lambda row: row.budget)
        work = costs.get(name)
        found.append(_method(own, means, seed, bootstrap_samples, None if work is None else work.forwards_executed))
    gpu = f", {source['gpu']}" if "gpu" in source else ""
    return RunResult(
        mechanism=ours[0].mechanism,
        num_steps=table.num_steps,
        seed=seed,
        model=str(table.model.get("id", "model")),
        num_prompts=len({sample.prompt_index for sample in samples if sample.schedule == POLICY}),
        date=str(source.get("date", "unknown"))[:10],
        commit=str(source.get("git_commit", "unknown"))[:10],
        machine=f"{source.get('cpu_count', '?')} x {source.get('cpu', 'unknown')}{gpu}",
        command=command,
        methods=tuple(found),
        decided=decided_pairs(means, list(names), [row.budget for row in ours], samples=bootstrap_samples, seed=seed),
    )


def _method(
    rows: Sequence[FrontierRow],
    means: Mapping[tuple[str, int], PromptMeans],
    seed: int,
    samples: int,
    forwards: int | None,
) -> MethodResult:
    """Ours is on the same prompts at every budget a method has, since both come from one evaluation."""
    name = rows[0].schedule
    pairs = [(means[POLICY, row.budget], means[name, row.budget]) for row in rows if (POLICY, row.budget) in means]
    each = [paired_geometric_mean([pair], samples=samples, seed=seed) for pair in pairs]
    overall = paired_geometric_mean(pairs, samples=samples, seed=seed)
    points = tuple(
        Point(row.budget, row.computed_steps_mean, row.flops_ratio, row.lpips, one.ratio, one.low, one.high)
        for row, one in zip(rows, each, strict=True)
    )
    return MethodResult(
        name, family_of(name), points, overall.ratio, overall.low, overall.high, forwards, typical_ratio(pairs)
    )
