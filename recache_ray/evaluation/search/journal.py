"""What a search asked and was told, a line a round, so that a search killed anywhere goes on from its last answer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.work import Work
from recache_ray.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Round:
    """One question of a search: its schedules, their values in the same order, and what measuring them took."""

    schedules: tuple[Schedule, ...]
    values: tuple[float, ...]
    work: Work


class SearchJournal:
    """A file of rounds that only grows. A line that a kill cut off is dropped, so its round is run again.

    Args:
        path: the file; its folder is made when the first round is written.
        num_steps: T of its schedules.

    Attributes:
        rounds: what the file held when it was opened.

    Raises:
        BadInputError: if the file is damaged elsewhere than at its end.
    """

    def __init__(self, path: Path, num_steps: int) -> None:
        self.path = path
        try:
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            self.rounds = tuple(_decode(line, num_steps) for line in whole.splitlines())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                f"{path}: the search's record is damaged ({error}); delete it to search again"
            ) from error
        self._torn = len(whole) < len(content)
        self._size = len(whole)

    def append(self, played: Round) -> None:
        """Add a round and force it to disk.

        Raises:
            RunFailedError: if the file cannot be written; what it holds is intact.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._torn:
                os.truncate(self.path, self._size)
                self._torn = False
            with self.path.open("ab") as stream:
                stream.write(_encode(played))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise RunFailedError(
                f"{self.path}: cannot write ({error.strerror or error}); make room and run the same command again "
                "to go on with the search"
            ) from error


def _encode(played: Round) -> bytes:
    steps: Sequence[Sequence[int]] = [schedule.compute_steps for schedule in played.schedules]
    return json.dumps({"steps": steps, "values": played.values, "work": asdict(played.work)}).encode() + b"\n"


def _decode(line: bytes, num_steps: int) -> Round:
    record: dict[str, Any] = json.loads(line)
    schedules = tuple(Schedule.from_steps(num_steps, steps) for steps in record["steps"])
    values = tuple(map(float, record["values"]))
    if len(values) != len(schedules):
        raise ValueError(f"{len(values)} values for {len(schedules)} schedules")
    return Round(schedules, values, Work(**record["work"]))
