"""The cache of decoded references."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from recache_ray.references.reference import Reference
from recache_ray.references.store import ReferenceStore
from recache_ray.rollouts.reference_cache import ReferenceCache
from recache_ray.types import GenerationRequest, Prompt

REFERENCE_BYTES = 2 * 2 * 3 + 4 * 4


def request(index: int) -> GenerationRequest:
    return GenerationRequest(Prompt(index, f"prompt {index}"), noise_seed=index)


def test_reads_once_and_forgets_what_was_used_longest_ago() -> None:
    reads: list[int] = []

    def read(wanted: GenerationRequest) -> Reference:
        reads.append(wanted.noise_seed)
        image = np.zeros((1, 2, 2, 3), dtype=np.uint8)
        return Reference(wanted, image, {"prompt_embeds": torch.zeros(4)})

    store: Any = SimpleNamespace(read=read)
    cache = ReferenceCache(cast(ReferenceStore, store), limit_bytes=2 * REFERENCE_BYTES)
    for index in (0, 1, 0, 2, 0, 1):
        assert cache.read(request(index)).request == request(index)
    assert reads == [0, 1, 2, 1]  # 1 made room for 2, 0 had been used since
