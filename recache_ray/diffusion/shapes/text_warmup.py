"""Gives the text encoders a head start: both learn to tell the scene from its caption, before they see pictures.

Without it the transformer learns single objects but mixes up the attributes of two: which colour belongs to which place
must be read from the text, and the gradient that arrives through the pictures teaches that slowly. CLIP's pooled state
must tell the whole scene; T5's state at the word that names a place ("left") must tell the object there, and its state
at the word "background" the pattern and colour.
Shapes: class numbers (B, 17) as in `labels`; pooled text (B, 64); text states (B, 24, 128).
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from diffusers import FluxPipeline
from torch import nn
from transformers.tokenization_utils_tokenizers import TokenizersBackend

from recache_ray.diffusion.shapes.architecture import JOINT_DIM, POOLED_DIM
from recache_ray.diffusion.shapes.data import token_ids
from recache_ray.diffusion.shapes.labels import CLASSES, IGNORED, scene_labels
from recache_ray.diffusion.shapes.scene import (
    COLOURS,
    PATTERNS,
    POSITIONS,
    SHAPES,
    SIZES,
    Scene,
    caption,
    sample_scene,
)

CAPTIONS, BATCH = 16_000, 128
STEPS, ENOUGH = 1500, 0.995
WORD_CLASSES = (len(SHAPES), len(COLOURS), len(SIZES), len(PATTERNS), len(COLOURS))
LR = 2e-3


def warm_up_text(pipeline: FluxPipeline, seed: int, steps: int = STEPS, *, faithful: float = 0.0) -> float:
    """Trains both encoders in place until they tell enough of the labels; returns the share that is right.

    `faithful` weighs a penalty on changing the encoders' outputs for captions with one object: for encoders that a
    transformer already relies on.
    """
    clip, t5 = pipeline.text_encoder, pipeline.text_encoder_2
    draws = random.Random(seed)
    scenes = [sample_scene(draws, held_out=False, two_objects=0.6) for _ in range(CAPTIONS)]
    labels = torch.tensor([scene_labels(scene) for scene in scenes])
    single = torch.tensor([len(scene.objects) == 1 for scene in scenes])
    ids = token_ids((pipeline.tokenizer, pipeline.tokenizer_2), [caption(scene) for scene in scenes])
    words = _word_labels(ids[1], scenes, pipeline.tokenizer_2)
    known = _states(clip, t5, ids) if faithful else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = nn.ModuleList([nn.Linear(POOLED_DIM, sum(CLASSES)), nn.Linear(JOINT_DIM, sum(WORD_CLASSES))])
    parameters = [*clip.parameters(), *t5.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=LR, betas=(0.9, 0.98), weight_decay=0.01)
    generator = torch.Generator().manual_seed(seed)
    right = 0.0
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = LR * min(1.0, (step + 1) / 50) * (1 - 0.9 * step / steps)
        index = torch.randint(CAPTIONS, (BATCH,), generator=generator)
        pooled = clip(input_ids=ids[0][index]).pooler_output
        tokens = t5(input_ids=ids[1][index]).last_hidden_state
        told = [
            (heads[0](pooled).split(CLASSES, dim=1), labels[index]),
            (heads[1](tokens).flatten(0, 1).split(WORD_CLASSES, dim=1), words[index].flatten(0, 1)),
        ]
        loss = torch.stack([_label_loss(*pair) for pair in told]).sum()
        if known is not None:
            kept = single[index]
            for new, old in zip((pooled, tokens), known, strict=True):
                loss = loss + faithful * F.mse_loss(new[kept], old[index][kept]) / old.var()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        shares = [_share_right(*pair) for pair in told]
        if (step + 1) % 50 == 0:
            print(f"text step {step + 1}/{steps}  right: CLIP {shares[0]:.3f}, T5 {shares[1]:.3f}", flush=True)
        right = 0.9 * right + 0.1 * min(shares)
        if right >= ENOUGH:
            break
    return right


@torch.no_grad()
def _states(
    clip: nn.Module, t5: nn.Module, ids: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both encoders' outputs for all captions."""
    pooled = [clip(input_ids=part).pooler_output for part in ids[0].split(512)]
    tokens = [t5(input_ids=part).last_hidden_state for part in ids[1].split(512)]
    return torch.cat(pooled), torch.cat(tokens)


def _label_loss(guess: tuple[torch.Tensor, ...], labels: torch.Tensor) -> torch.Tensor:
    losses = [
        F.cross_entropy(logits, labels[:, column], ignore_index=IGNORED)
        for column, logits in enumerate(guess)
        if bool((labels[:, column] != IGNORED).any())
    ]
    return torch.stack(losses).mean()


def _share_right(guess: tuple[torch.Tensor, ...], labels: torch.Tensor) -> float:
    hits = torch.stack([logits.argmax(dim=1) for logits in guess], dim=1) == labels
    return float(hits[labels != IGNORED].float().mean())


def _word_labels(ids: torch.Tensor, scenes: list[Scene], tokenizer: TokenizersBackend) -> torch.Tensor:
    """What each T5 token must tell, (B, 24, 5) class numbers as in WORD_CLASSES; IGNORED at most words."""
    labels = torch.full((*ids.shape, len(WORD_CLASSES)), IGNORED)
    places = torch.tensor([tokenizer.convert_tokens_to_ids(f"▁{position}") for position in POSITIONS])
    ground = tokenizer.convert_tokens_to_ids("▁background")
    for row, scene in enumerate(scenes):
        where = torch.isin(ids[row], places).nonzero().flatten().tolist()
        for index, item in zip(where, scene.objects, strict=True):
            numbers = (SHAPES.index(item.shape), COLOURS.index(item.colour), SIZES.index(item.size))
            labels[row, index, :3] = torch.tensor(numbers)
        behind = (PATTERNS.index(scene.background.pattern), COLOURS.index(scene.background.colour))
        labels[row, ids[row] == ground, 3:] = torch.tensor(behind)
    return labels
