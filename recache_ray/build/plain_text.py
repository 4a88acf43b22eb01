"""Tables as text, for outputs that are read in files and pipes too."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

_WIDTH = 100


def plain(table: Table) -> str:
    """A table as text without colours."""
    buffer = io.StringIO()
    Console(file=buffer, width=_WIDTH, force_terminal=False).print(table)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).rstrip()
