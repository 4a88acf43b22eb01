"""Whether a server will be able to listen, before anything else is started."""

from __future__ import annotations

import socket

from recache_ray.errors import BadInputError


def check_free(host: str, port: int) -> None:
    """Try ``serve.host`` and ``serve.port``.

    Raises:
        BadInputError: if they cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BadInputError(
                f"serve.host = {host!r}, serve.port = {port}: cannot be listened on ({error.strerror or error}); "
                "choose another"
            ) from error
