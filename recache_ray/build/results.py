"""The verb ``results``: publish evaluated runs as tables and a picture, and put the tables into the README."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from recache_ray.build.reproduction import result_commands
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.results.collect import collect_run
from recache_ray.evaluation.results.digest import render_digest
from recache_ray.evaluation.results.picture import plot_results
from recache_ray.evaluation.results.records import Results, RunResult, read_results
from recache_ray.evaluation.results.render import render_markdown
from recache_ray.evaluation.results.section import marks, read_section, replace_section

_FILE = ".json"


def publish_results(config: Config) -> str:
    """Write ``results.dir/NAME.json``, ``.csv``, ``.md`` and ``.png`` and the README's section; say what was written.

    Everything is rendered from the JSON as it is read back, so that a check needs no run folder.

    Raises:
        BadInputError: as :func:`gather_runs`, or if the README's marks are damaged.
        RunFailedError: if a file cannot be written.
    """
    section = config.results
    sources = [Path(run) for run in section.runs or (config.run.dir,)]
    runs = gather_runs(sources, config.evaluation.bootstrap_samples)
    asked = f"results.runs=[{','.join(map(str, sources))}]"
    command = shlex.join(["recache", "results", asked, f"results.name={section.name}"])
    text = Results(section.name, command, runs).to_json()
    results = read_results(text, section.name)
    folder, readme = Path(section.dir), Path(section.readme)
    picture = folder / f"{section.name}.png"
    try:
        plot_results(results, picture)
        _write(folder / f"{section.name}.json", text)
        _write(folder / f"{section.name}.csv", results.to_csv())
        _write(folder / f"{section.name}.md", page_text(results, picture))
        files = [*(folder / f"{section.name}{suffix}" for suffix in (".json", ".csv", ".md")), picture]
        return "\n".join([*(f"wrote {file}" for file in files), _put_into(readme, results, picture)])
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise RunFailedError(f"{where}: cannot write ({why}); make room, run again") from error


def gather_runs(sources: Sequence[Path], bootstrap_samples: int) -> tuple[RunResult, ...]:
    """What is published of ``sources``: run folders, and files ``NAME.json`` that ``results`` wrote before.

    Runs are often of several machines, and a folder may be gone when another mechanism is trained anew. So a file
    stands for its runs, in its order, and a folder takes the place of the published run of the same subject.

    Raises:
        BadInputError: if a run is not evaluated, or a file of it or a results file is missing or damaged.
    """
    runs = [run for source in sources if source.suffix == _FILE for run in _published(source)]
    places = {_subject(run): place for place, run in enumerate(runs)}
    for folder in sources:
        if folder.suffix == _FILE:
            continue
        run = collect_run(folder, " && ".join(result_commands(folder)), bootstrap_samples=bootstrap_samples)
        place = places.pop(_subject(run), None)
        if place is None:
            runs.append(run)
        else:
            runs[place] = run
    return tuple(runs)


def _published(path: Path) -> tuple[RunResult, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadInputError(
            f"results.runs: {path} cannot be read ({why}); name a file that recache results wrote"
        ) from error
    return read_results(text, str(path)).runs


def _subject(run: RunResult) -> tuple[str, str, int, int]:
    """What a run is about; another run of it is the same measurement once more."""
    return run.model, run.mechanism, run.num_steps, run.seed


def page_text(results: Results, picture: Path) -> str:
    """The page of the results, in the folder of its picture."""
    return f"# {results.name}\n\n{render_markdown(results, picture.name)}"


def readme_text(results: Results, readme: Path, picture: Path) -> str:
    """The section as ``readme`` shows it, picture and page by their paths from there."""
    there, page = (
        Path(os.path.relpath(path, readme.parent)).as_posix() for path in (picture, picture.with_suffix(".md"))
    )
    return render_digest(results, there, page)


def _put_into(readme: Path, results: Results, picture: Path) -> str:
    before = readme.read_text(encoding="utf-8") if readme.exists() else ""
    if read_section(before, results.name) is None:
        return f"{readme} has no section for them: add the lines {' and '.join(marks(results.name))}"
    _write(readme, replace_section(before, results.name, readme_text(results, readme, picture)))
    return f"wrote the section {results.name} of {readme}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
