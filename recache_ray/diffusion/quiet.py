"""Loading without the libraries' own progress bars, which would tear ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import diffusers.utils.logging as diffusers_logging
import transformers.utils.logging as transformers_logging


@contextmanager
def quiet_loading(*, warnings: bool = True) -> Iterator[None]:
    """Keep diffusers and transformers from drawing progress bars; the settings are put back afterwards.

    Args:
        warnings: let diffusers warn. It does of every component of a foreign class.
    """
    verbosity = diffusers_logging.get_verbosity()
    before = [(module, module.is_progress_bar_enabled()) for module in (diffusers_logging, transformers_logging)]
    for module, _ in before:
        module.disable_progress_bar()
    if not warnings:
        diffusers_logging.set_verbosity_error()
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(verbosity)
        for module, enabled in before:
            if enabled:
                module.enable_progress_bar()
