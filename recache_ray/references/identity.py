"""Keys of the store: what a generation is made from, hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

Identity = Mapping[str, str | int | float]


def canonical_json(identity: Identity) -> str:
    """The one spelling of ``identity`` that is hashed and stored.

    Raises:
        TypeError: if a name is not a string, or a value not a string or a number.
        ValueError: if a number is not finite.
    """
    for name, value in identity.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float):
            raise TypeError(f"identity {name!r} = {value!r}: names are strings, values strings or numbers")
    return json.dumps(dict(identity), sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(identity: Identity) -> str:
    """SHA-256 (hex) over everything that determines a generation apart from its prompt and noise seed."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def prompt_key(store_key: str, prompt: str) -> str:
    """Key of the embeddings of ``prompt`` in the store whose content key is ``store_key``."""
    return _digest("prompt", store_key, prompt)


def request_key(store_key: str, prompt: str, noise_seed: int) -> str:
    """Key of one reference; the prompt's place in its prompt set plays no part."""
    return _digest("request", store_key, prompt, str(noise_seed))


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
