"""The verb ``results``: publish evaluated runs as tables and a picture, and put the tables into the README."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from recache_ray.build.reproduction import result_commands
from recache_ray.config.root import Config
from recache_ray.errors import RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.results.collect import collect_run
from recache_ray.evaluation.results.picture import plot_results
from recache_ray.evaluation.results.records import Results, read_results
from recache_ray.evaluation.results.render import render_markdown
from recache_ray.evaluation.results.section import marks, read_section, replace_section


def publish_results(config: Config) -> str:
    """Write ``results.dir/NAME.json``, ``.csv``, ``.md`` and ``.png`` and the README's section; say what was written.

    Everything is rendered from the JSON as it is read back, so that a check needs no run folder.

    Raises:
        BadInputError: if a run is not evaluated or a file of it is damaged, or the README's marks are.
        RunFailedError: if a file cannot be written.
    """
    section = config.results
    folders = [Path(run) for run in section.runs or (config.run.dir,)]
    runs = tuple(
        collect_run(folder, " && ".join(result_commands(folder)), bootstrap_samples=config.evaluation.bootstrap_samples)
        for folder in folders
    )
    asked = f"results.runs=[{','.join(map(str, folders))}]"
    command = shlex.join(["recache", "results", asked, f"results.name={section.name}"])
    text = Results(section.name, command, runs).to_json()
    results = read_results(text, section.name)
    folder, readme = Path(section.dir), Path(section.readme)
    picture = folder / f"{section.name}.png"
    try:
        plot_results(results, picture)
        _write(folder / f"{section.name}.json", text)
        _write(folder / f"{section.name}.csv", results.to_csv())
        _write(folder / f"{section.name}.md", f"# {section.name}\n\n{render_markdown(results, picture.name)}")
        files = [*(folder / f"{section.name}{suffix}" for suffix in (".json", ".csv", ".md")), picture]
        return "\n".join([*(f"wrote {file}" for file in files), _put_into(readme, results, picture)])
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise RunFailedError(f"{where}: cannot write ({why}); make room, run again") from error


def readme_text(results: Results, readme: Path, picture: Path) -> str:
    """The section as ``readme`` shows it, the picture by its path from there."""
    return render_markdown(results, Path(os.path.relpath(picture, readme.parent)).as_posix())


def _put_into(readme: Path, results: Results, picture: Path) -> str:
    before = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if read_section(before, results.name) is None:
        return f"{readme} has no section for them: add the lines {' and '.join(marks(results.name))}"
    _write(readme, replace_section(before, results.name, readme_text(results, readme, picture)))
    return f"wrote the section {results.name} of {readme}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
