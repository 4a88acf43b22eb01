"""The verb ``bench scale``: how many rollout actors one learner keeps busy."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from recache_ray.build.progress import OnProgress
from recache_ray.build.scale_run import run_scale, simulated_load
from recache_ray.config.root import Config
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.evaluation.scale.figures import TARGET_CORE, TARGET_EFFICIENCY, learner_load, misses
from recache_ray.evaluation.scale.report import plot_scale, scale_table
from recache_ray.tracking.provenance import provenance

_WIDTH = 150


def bench_scale(config: Config, on_progress: OnProgress) -> tuple[str, bool]:
    """Measure every configured number of actors; text, and whether the targets were met at all of them.

    The figures also go to ``run.dir/bench_scale.json``, the curve to ``run.dir/bench_scale.png``.

    Raises:
        BadInputError: if the measurement is too short for the tasks, or a setting of the learner does not fit.
        RunFailedError: if the simulated actors cannot be started.
    """
    from recache_ray.distributed.cluster import connect

    section, load = config.scale, simulated_load(config)
    wanted = [(n, False) for n in sorted(set(section.actors)) if n <= section.processes]
    wanted += [(n, True) for n in sorted(set(section.actors)) if n >= section.processes]
    points = []
    with connect(RuntimeConfig(address=config.runtime.address, cpus_per_worker=0.0)):
        for actors, shared in wanted:
            how = "in one process" if shared else "each a process"
            on_progress(f"{actors} actors, {how}: {section.warmup_s + section.seconds:g} s after all are there")
            points.append(run_scale(config, actors, shared, load, on_progress))
    fit, missed = learner_load(points), misses(points)
    folder = Path(config.run.dir)
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "bench_scale.json"
    facts = provenance(config.run.seed)
    document = {
        "provenance": facts,
        "points": [point.to_json() for point in points],
        "learner": {"idle_share": fit.idle_share, "group_s": fit.group_s, "saturates_at": fit.saturates_at(load)},
    }
    output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    picture = plot_scale(points, fit, load, folder / "bench_scale.png")
    buffer = io.StringIO()
    Console(file=buffer, width=_WIDTH).print(scale_table(points))
    table = "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())
    verdict = f"at least {TARGET_EFFICIENCY:.0%} of the ideal, below {TARGET_CORE:.0%} of a core: " + (
        "MISSED\n" + "\n".join(f"  {line}" for line in missed) if missed else "met"
    )
    lines = [
        f"tasks of {load.mean_s:g} s (gamma, cv {load.cv:g}), {load.preemptions_per_hour:g} preemptions an hour of "
        f"every actor, {load.reload_s:g} s to load again: ideal {load.ideal_busy_share:.2%} busy; "
        f"order {section.order}",
        table,
        f"learner    {fit.idle_share:.2%} of a core and {1000 * fit.group_s:.2f} ms a group: one core is full at "
        f"{fit.saturates_at(load):,.0f} actors (extrapolated)",
        f"{verdict}",
        f"wrote {output}, {picture}",
    ]
    return "\n".join(lines), not missed
