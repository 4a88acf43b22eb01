"""The verb ``export``: a schedule of a run in the format of the server that will run it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from recache_ray.build.hub_folder import HUB, export_hub_folder
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.export.registry import check_target
from recache_ray.export.source import Export, ExportSource, export_source
from recache_ray.schedules import ScheduleTable


def source_of(config: Config) -> ExportSource:
    """The configured schedule of the run.

    Raises:
        BadInputError: if the run has no table, or it lacks the budget.
    """
    table = ScheduleTable.load(Path(config.run.dir) / "schedules.json")
    return export_source(table, config.export.budget, config.export.mechanism)


def make_export(config: Config) -> Export:
    """What ``export.to`` makes of the schedule.

    Raises:
        BadInputError: if the target is unknown, or cannot hold the schedule.
    """
    return check_target(config.export.to).make(source_of(config))


def export(config: Config) -> str:
    """Write the files and say how to use them, and what the server will compute where that is not the schedule.

    Raises:
        BadInputError: as :func:`make_export`, or if ``export.output`` names one file and there are several.
        RunFailedError: if the folder cannot be written.
    """
    if config.export.to == HUB:
        return export_hub_folder(config)
    target, made = check_target(config.export.to), make_export(config)
    lines = []
    for name, text in made.files.items():
        path = output_path(config, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_atomically(path, partial(_write, text))
        except OSError as error:
            raise RunFailedError(f"{path}: cannot write the export ({error.strerror or error}); make room") from error
        lines += [f"wrote {path}", f"use:  {target.use.replace('FILE', str(path))}"]
    steps = ", ".join(map(str, made.computes.compute_steps))
    lines.append(f"computes {made.computes.budget} of {made.computes.num_steps} steps: {steps}")
    lines += [f"note: {note}" for note in made.notes]
    if not made.exact:
        lines.append("NOT the learned schedule: this target cannot hold it")
    return "\n".join(lines)


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def output_path(config: Config, name: str) -> Path:
    """Where the file called ``name`` belongs: a folder takes it under its name, anything else is the file itself."""
    if not config.export.output:
        return Path(config.run.dir) / "export" / name
    output = Path(config.export.output)
    if output.is_dir() or config.export.output.endswith("/"):
        return output / name
    if output.suffix != Path(name).suffix:
        raise BadInputError(
            f"export.output = {config.export.output!r}: to={config.export.to} writes a {Path(name).suffix} file; name "
            "one that ends so, or a folder with a slash at its end"
        )
    return output
