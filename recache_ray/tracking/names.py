"""Names and texts that a tracking server takes."""

from __future__ import annotations

import hashlib
import os
import re

MAX_NAME_LENGTH = 250
_SHORTEST_SECRET = 8
_SECRET_VARIABLES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "RAY_AUTH_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
)


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
    """``text`` without passwords and tokens: those of URIs, hub tokens, and what this process has in its environment.

    >>> without_secrets("cannot reach https://ann:secret@tracking.example:5000/x with hf_abcdefghijklmnopqrst")
    'cannot reach https://***@tracking.example:5000/x with hf_***'
    """
    for name in _SECRET_VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= _SHORTEST_SECRET:  # shorter ones are words that texts are full of
            text = text.replace(value, "***")
    text = re.sub(r"\bhf_[A-Za-z0-9]{16,}", "hf_***", text)
    return re.sub(r"(?<=://)[^/\s'\"]*@", "***@", text)
