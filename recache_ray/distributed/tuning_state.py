"""Whether Ray Tune can go on from what it left in a search's folder."""

from __future__ import annotations

import json
from pathlib import Path

from recache_ray.errors import RunFailedError

_STATES = "experiment_state-*.json"


def can_go_on(folder: Path) -> bool:
    """Whether there is a state: not before a search has run for a few seconds.

    Ray reads the newest, one file for every time the search was run. It copies the file into the folder in the
    background, so a machine that lost power may have left half of it.

    Raises:
        RunFailedError: if it is not whole.
    """
    files = sorted(folder.glob(_STATES))
    if not files:
        return False
    try:
        state = json.loads(files[-1].read_text(encoding="utf-8"))
    except ValueError:
        state = None
    if not isinstance(state, dict) or "trial_data" not in state:
        earlier = f", or only this file to go on from {files[-2].name}" if len(files) > 1 else ""
        raise RunFailedError(
            f"{files[-1]}: Ray did not finish writing its state of this search; move the folder away to search anew"
            f"{earlier}"
        )
    return True
