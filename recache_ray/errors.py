"""The two ways a command ends badly, and the exit status each one means.

Every message is one line: what was wrong, the value, the bound, the remedy.
"""

from __future__ import annotations


class RecacheError(Exception):
    """Base of every error this package raises on purpose."""

    exit_status = 1


class BadInputError(RecacheError):
    """The user's input cannot work: a configuration value, a file, a budget. Exit status 2."""

    exit_status = 2


class RunFailedError(RecacheError):
    """The input was fine but the run could not go on: lost workers, full disk, too many failures. Exit status 1."""
