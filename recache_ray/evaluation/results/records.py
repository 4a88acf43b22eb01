"""What is published of evaluated runs, complete enough that every table and picture is rendered from it alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from recache_ray.errors import BadInputError

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Point:
    """A method at one budget.

    Attributes:
        budget: k asked for.
        computed_steps: mean over prompts; k for fixed schedules.
        flops_ratio: FLOPs of all steps over those of this method, its probes included.
        lpips: mean to the uncached pictures.
        ratio: LPIPS of the policy over ``lpips`` on the same prompts; above 1 the method is the better one.
        low: lower end of the paired 95% interval of ``ratio``.
        high: its upper end.
    """

    budget: int
    computed_steps: float
    flops_ratio: float
    lpips: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method of one run.

    Attributes:
        method: as in the frontier.
        family: what kind of method it is.
        points: by budget, ascending.
        ratio: geometric mean over its budgets of ``Point.ratio``.
        low: lower end of the paired 95% interval of ``ratio``.
        high: its upper end.
        forwards: transformer forwards it took to find its schedules of all budgets; None where not recorded.
        typical: like ``ratio``, of geometric means over prompts, which a few hard prompts do not decide; None where
            not recorded.
    """

    method: str
    family: str
    points: tuple[Point, ...]
    ratio: float
    low: float
    high: float
    forwards: int | None
    typical: float | None = None


@dataclass(frozen=True, slots=True)
class RunResult:
    """One evaluated run with where it came from; the policy is the first of its ``methods``.

    Attributes:
        decided: pairs of methods, the better one first, whose order over the policy's budgets the interval leaves no
            doubt about; None where not recorded.
    """

    mechanism: str
    num_steps: int
    seed: int
    model: str
    num_prompts: int
    date: str
    commit: str
    machine: str
    command: str
    methods: tuple[MethodResult, ...]
    decided: tuple[tuple[str, str], ...] | None = None

    @property
    def title(self) -> str:
        """Example: ``taylor1, T = 20, seed 0``."""
        return f"{self.mechanism}, T = {self.num_steps}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Results:
    """Runs published together under a name."""

    name: str
    command: str
    runs: tuple[RunResult, ...]

    def to_json(self) -> str:
        """The file; floats have seven significant digits."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **_rounded(asdict(self))}, indent=1) + "\n"

    def to_csv(self) -> str:
        """A line per run, method and budget."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        names = [item.name for item in fields(Point)]
        writer.writerow(["mechanism", "num_steps", "seed", "method", "family", *names])
        for run in self.runs:
            for each in run.methods:
                for point in each.points:
                    values = _rounded(asdict(point))
                    writer.writerow(
                        [run.mechanism, run.num_steps, run.seed, each.method, each.family, *map(values.get, names)]
                    )
        return stream.getvalue()


def read_results(text: str, source: str) -> Results:
    """The inverse of :meth:`Results.to_json`; ``source`` names the file in messages.

    Raises:
        BadInputError: if the text is damaged or of another schema.
    """
    try:
        document: Mapping[str, Any] = json.loads(text)
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version = {document['schema_version']}, this release reads {SCHEMA_VERSION}")
        runs = tuple(
            RunResult(
                **{
                    **run,
                    "methods": tuple(
                        MethodResult(**{**each, "points": tuple(Point(**point) for point in each["points"])})
                        for each in run["methods"]
                    ),
                    "decided": None if run.get("decided") is None else tuple(map(tuple, run["decided"])),
                }
            )
            for run in document["runs"]
        )
        return Results(document["name"], document["command"], runs)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{source}: not a results file ({error}); write it again: recache results") from error


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
