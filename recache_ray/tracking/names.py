"""Names and texts that a tracking server takes."""

from __future__ import annotations

import hashlib
import re

MAX_NAME_LENGTH = 250


def safe_name(name: str) -> str:
    """The nearest name MLflow accepts for a metric or parameter; valid names come back unchanged.

    MLflow allows letters, digits and ``_ - . space : /``, and no name that is not a normal relative path. Other
    characters and empty or dotted path parts become ``_``; long names end in a hash of the whole.

    >>> safe_name("reward/lpips/mean"), safe_name("lpips/k=10"), safe_name("/a//../b")
    ('reward/lpips/mean', 'lpips/k_10', 'a/_/b')
    """
    parts = [re.sub(r"[^\w\-. :]", "_", part) for part in name.split("/") if part]
    safe = "/".join("_" if set(part) <= {"."} else part for part in parts) or "_"
    if len(safe) <= MAX_NAME_LENGTH:
        return safe
    return f"{safe[: MAX_NAME_LENGTH - 17].rstrip('/')}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def without_secrets(text: str) -> str:
    """``text`` with the user and password of every URI in it replaced by ``***``.

    >>> without_secrets("cannot reach https://ann:secret@tracking.example:5000/x")
    'cannot reach https://***@tracking.example:5000/x'
    """
    return re.sub(r"(?<=://)[^/\s'\"]*@", "***@", text)
