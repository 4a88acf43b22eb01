"""What is generated: a prompt, and the noise it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Prompt:
    """One prompt of a prompt set. Example: ``Prompt(index=3, text="a small red star ...", split="train")``."""

    index: int
    text: str
    split: Split = "train"


@dataclass(frozen=True)
class GenerationRequest:
    """One generation up to its schedule: the prompt and the seed of its starting noise."""

    prompt: Prompt
    noise_seed: int
