"""A rollout worker on a node of a joined cluster: it sees the same folder as the learner, or the run does not start.

A folder that is not on a shared volume exists on every node all the same, as soon as a worker has made it there. So the
learner leaves a mark in the reference store, and every worker looks for it before it loads a model.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recache_ray.build.worker import make_worker
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RecacheError
from recache_ray.rollouts.guard import Worker
from recache_ray.types import PolicySnapshot, Task, TaskResult

_MARK = ".learner-"
_ABANDONED_S = 30 * 86_400.0  # killed learners leave theirs; no training takes a month


@contextmanager
def store_mark(directory: str) -> Iterator[str]:
    """Leave a file in the reference store while the block runs; yields its name.

    Raises:
        BadInputError: if the folder cannot be written to.
    """
    mark = Path(directory) / f"{_MARK}{secrets.token_hex(8)}"
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        for old in mark.parent.glob(f"{_MARK}*"):
            if time.time() - old.stat().st_mtime > _ABANDONED_S:
                old.unlink(missing_ok=True)
        mark.touch()
    except OSError as error:
        raise BadInputError(
            f"references.dir = {directory}: cannot be written to on {here()} ({error.strerror or error}); "
            "allow writing there or choose another references.dir"
        ) from error
    try:
        yield mark.name
    finally:
        mark.unlink(missing_ok=True)


def make_node_worker(config: Config, mark: str, name: str) -> NodeWorker:
    """:func:`make_worker` on a node that sees the mark; what it raises names the node.

    Raises:
        BadInputError: also if the reference store here is not the learner's.
    """
    check_store_shared(config.references.dir, mark)
    try:
        return NodeWorker(make_worker(config, name))
    except RecacheError as error:
        raise named(error) from None


def check_store_shared(directory: str, mark: str) -> None:
    """Refuse a node whose reference store is another folder than the learner's.

    Raises:
        BadInputError: names the node.
    """
    if not (Path(directory) / mark).exists():
        raise BadInputError(
            f"references.dir = {directory}: on node {here()} it is not the folder that the learner sees; mount the "
            "shared volume there, or give an absolute path on a volume that every node has"
        )


class NodeWorker:
    """A worker whose errors name its node: a full disk is one machine's.

    Args:
        worker: does the work.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def run(self, task: Task, snapshot: PolicySnapshot | None = None) -> TaskResult:
        """As the worker.

        Raises:
            RecacheError: the worker's, with the node in its message.
        """
        try:
            return self._worker.run(task, snapshot)
        except RecacheError as error:
            raise named(error) from None


def named(error: RecacheError) -> RecacheError:
    """The same error, with this node at the end of its message."""
    error.args = (f"{error} (on node {here()})",)
    return error


def here() -> str:
    """The name of this machine."""
    return socket.gethostname()
