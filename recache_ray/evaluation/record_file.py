"""A Parquet file of one dataclass: a column per field, in their order, so that the dataclass is the schema."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically

T = TypeVar("T")
_TYPES = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "float | None": pa.float64(),
    "bytes": pa.binary(),
    "tuple[int, ...]": pa.list_(pa.int64()),
}


@dataclass(frozen=True)
class RecordFile(Generic[T]):
    """Writes and reads records of ``kind``, a flat dataclass; ``what`` names them in messages.

    Example: ``RecordFile(Sample, "samples").read(folder / "samples.parquet")``.
    """

    kind: type[T]
    what: str

    @property
    def schema(self) -> pa.Schema:
        """One field per attribute; only ``X | None`` may be null."""
        items = fields(self.kind)  # type: ignore[arg-type]
        return pa.schema([pa.field(item.name, _TYPES[str(item.type)], "None" in str(item.type)) for item in items])

    def write(self, records: Iterable[T], path: Path) -> Path:
        """Replace ``path`` atomically and return it.

        Raises:
            RunFailedError: if the folder cannot be written.
        """
        rows, schema = list(records), self.schema
        columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
        table = pa.Table.from_arrays(columns, schema=schema)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_atomically(path, lambda partial: pq.write_table(table, partial))
        except OSError as error:
            raise RunFailedError(
                f"{path}: cannot write the {self.what} ({error.strerror or error}); make room, run again"
            ) from error
        return path

    def write_csv(self, records: Iterable[T], path: Path) -> Path:
        """Replace ``path`` by a text file of the same columns and return it; the numbers of a tuple stand in one cell.

        Raises:
            RunFailedError: if the folder cannot be written.
        """
        names = self.schema.names
        cells = [[getattr(record, name) for name in names] for record in records]

        def write(partial: Path) -> None:
            with partial.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(names)
                writer.writerows([[_cell(value) for value in row] for row in cells])

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_atomically(path, write)
        except OSError as error:
            raise RunFailedError(
                f"{path}: cannot write the {self.what} ({error.strerror or error}); make room, run again"
            ) from error
        return path

    def read(self, path: Path) -> tuple[T, ...]:
        """The records of a file written by :meth:`write`.

        Raises:
            BadInputError: if the file is missing, unreadable or has other columns.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadInputError(
                f"{path}: cannot read the {self.what} of an evaluation ({reason}); run recache evaluate"
            ) from error
        if not table.schema.equals(self.schema):
            raise BadInputError(f"{path}: has other columns than the {self.what} of this release; run recache evaluate")
        return tuple(self.kind(**{name: _value(value) for name, value in row.items()}) for row in table.to_pylist())


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
