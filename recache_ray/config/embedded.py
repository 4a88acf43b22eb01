"""The models that come with this package and need neither a path nor a prompt file."""

from __future__ import annotations

EMBEDDED_KINDS = ("shapes", "shapes-video")
"""Values of ``model.kind``."""
