"""A tiny real FLUX pipeline and its prompt embeddings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from recache_ray.testing.tiny_flux import TEXT_TOKENS, tiny_flux_pipeline


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_flux_pipeline(seed=0)


@pytest.fixture(scope="module")
@torch.no_grad()
def embeds(pipe: Any) -> dict[str, Tensor]:
    tokens, pooled, _ = pipe.encode_prompt("a large red circle on the left", max_sequence_length=TEXT_TOKENS)
    return {"prompt_embeds": tokens, "pooled_prompt_embeds": pooled}


@pytest.fixture(scope="module")
@torch.no_grad()
def negative(pipe: Any) -> dict[str, Tensor]:
    tokens, pooled, _ = pipe.encode_prompt("a small blue square", max_sequence_length=TEXT_TOKENS)
    return {"negative_prompt_embeds": tokens, "negative_pooled_prompt_embeds": pooled}
