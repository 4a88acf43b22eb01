"""Runs notebooks from top to bottom in kernels of their own.

``python tests/notebooks/execution.py [01 ...]`` writes the outputs anew, of all or of those whose names begin so.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from traitlets.config import Config

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
_CELL_TIMEOUT_S = 1200
_OFFLINE = {"HF_HUB_OFFLINE": "1", "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}


def executed(path: Path) -> NotebookNode:
    """The notebook with the outputs of a run in a fresh kernel, in its own folder, offline; the file stays as it is.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    # nothing of the user's IPython profile takes part, and the kernel opens sockets in the folder instead of ports
    with tempfile.TemporaryDirectory() as folder:
        sockets = Config(KernelManager={"transport": "ipc", "connection_file": f"{folder}/kernel.json"})
        client = NotebookClient(
            notebook,
            timeout=_CELL_TIMEOUT_S,
            resources=resources,
            record_timing=False,
            coalesce_streams=True,
            config=sockets,
        )
        client.execute(env={**os.environ, **_OFFLINE, "IPYTHONDIR": folder})
    notebook.metadata.language_info = {"name": "python"}  # the version of this machine is nobody's business
    return notebook


def main(names: list[str]) -> None:
    for path in NOTEBOOKS:
        if not names or path.name.startswith(tuple(names)):
            nbformat.write(executed(path), path)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
