"""What a notebook must not show to somebody who reads it on a code-hosting page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|root|tmp|mnt|var|usr|opt|private|Users)/[\w.-]+|[A-Z]:\\\\?Users")
_WARNING = re.compile(r"\b\w*[Ww]arning\b|\bWARN(?:ING)?\b|Traceback \(most recent call last\)")


def page_faults(notebook: Mapping[str, Any]) -> list[str]:
    """One line for each thing that is wrong; empty for a notebook as it may be committed."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    found = [fault for number, cell in enumerate(cells, 1) for fault in _cell_faults(number, cell)]
    if not any("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"]):
        found.append("no picture in the outputs")
    for cell in notebook["cells"]:
        if path := _MACHINE_PATH.search(cell["source"]):
            found.append(f"the source names a path of one machine: {path[0]}")
    return found


def _cell_faults(number: int, cell: Mapping[str, Any]) -> Iterator[str]:
    if cell["execution_count"] != number:
        yield f"code cell {number}: its count is {cell['execution_count']}, not run from top to bottom"
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            yield f"code cell {number}: ends with {output['ename']}"
            continue
        text = _text_of(output)
        if output.get("name") == "stderr":
            yield f"code cell {number}: writes to stderr: {text[:80]!r}"
        if path := _MACHINE_PATH.search(text):
            yield f"code cell {number}: shows a path of one machine: {path[0]}"
        if warning := _WARNING.search(text):
            yield f"code cell {number}: shows a warning: {warning[0]}"


def _text_of(output: Mapping[str, Any]) -> str:
    """Everything an output shows as text."""
    shown = output.get("data", {})
    return "\n".join([output.get("text", ""), *(str(shown[kind]) for kind in shown if not kind.startswith("image/"))])
