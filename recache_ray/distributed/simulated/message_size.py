"""How large a message is in Ray's own serialization."""

from __future__ import annotations

from typing import Any

from ray._private.worker import global_worker


def message_bytes(value: Any) -> int:
    """Bytes of ``value`` as an argument or a result of a call, in a process connected to a cluster."""
    return int(global_worker.get_serialization_context().serialize(value).total_bytes)
