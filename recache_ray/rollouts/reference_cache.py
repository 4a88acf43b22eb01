"""Decoded references in memory: a worker meets the same request every few tasks."""

from __future__ import annotations

from collections import OrderedDict

from recache_ray.references.reference import Reference
from recache_ray.references.store import ReferenceStore
from recache_ray.types import GenerationRequest

_LIMIT_BYTES = 256 * 2**20


class ReferenceCache:
    """Reads through to a store and keeps what was used last, up to ``limit_bytes`` of images and embeddings."""

    def __init__(self, store: ReferenceStore, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._store = store
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[str, int], tuple[Reference, int]] = OrderedDict()
        self._bytes = 0

    def read(self, request: GenerationRequest) -> Reference:
        """The reference of a request.

        Raises:
            MissingReferenceError: if the store does not have it.
        """
        key = (request.prompt.text, request.noise_seed)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        reference = self._store.read(request)
        size = reference.image.nbytes + sum(tensor.nbytes for tensor in reference.embeddings.values())
        self._kept[key] = (reference, size)
        self._bytes += size
        while self._bytes > self._limit_bytes and len(self._kept) > 1:
            _, (_, freed) = self._kept.popitem(last=False)
            self._bytes -= freed
        return reference
