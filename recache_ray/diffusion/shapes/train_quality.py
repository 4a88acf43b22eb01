"""Trains the quality model of ``shapes``: ``python -m recache_ray.diffusion.shapes.train_quality --output DIR``.

Three losses together: CLIP's contrast over the pictures and captions of a batch, one near miss per caption among them;
HPSv2's preference (Wu et al. 2023, arXiv 2306.09341, section 4: a softmax over two pictures of one caption), the better
picture being the unspoilt one; and a classification of the scene from either embedding, whose heads are thrown away.
Shapes: B pictures of a batch, D features.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from recache_ray.diffusion.embedded_training.journal import Journal
from recache_ray.diffusion.embedded_training.tokenizers import clip_tokenizer
from recache_ray.diffusion.shapes import model_path
from recache_ray.diffusion.shapes.architecture import MAX_TEXT_TOKENS
from recache_ray.diffusion.shapes.labels import CLASSES, IGNORED, scene_labels
from recache_ray.diffusion.shapes.quality import (
    DEVIATION,
    MEAN,
    build_quality_model,
    quality_path,
    save_quality_model,
)
from recache_ray.diffusion.shapes.render import render
from recache_ray.diffusion.shapes.scene import Scene, caption, sample_scene, vocabulary_words
from recache_ray.diffusion.shapes.spoil import near_miss, spoil

PICTURES = 3_000
BATCH, SPOILT = 32, 12
PEAK_LR = 4e-3
MAX_SCALE = 50.0
LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class Pictures:
    """Scenes and their pictures, uint8 (N, 3, 64, 64)."""

    scenes: list[Scene]
    pixels: torch.Tensor

    def batch(self, index: torch.Tensor) -> tuple[list[Scene], torch.Tensor]:
        """The scenes, and pixels in [0, 1]."""
        return [self.scenes[number] for number in index.tolist()], self.pixels[index].float() / 255


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes.train_quality", description=__doc__)
    parser.add_argument("--output", type=Path, default=quality_path(), help="folder of the model and its log")
    parser.add_argument(
        "--vae", type=Path, default=model_path() / "vae", help="a part of the pictures passes through it"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="processor minutes to train for")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # small operators: barriers cost more than threads give
    vae = AutoencoderKL.from_pretrained(chosen.vae).eval()
    log = Journal(chosen.output / "training_log.jsonl")
    model = train_quality(make_pictures(PICTURES, chosen.seed, vae, held_out=False), chosen.minutes, chosen.seed, log)
    measured = measure_quality(model, make_pictures(256, chosen.seed + 1, vae, held_out=True), chosen.seed + 1)
    log({"phase": "held out", **measured})
    save_quality_model(model, chosen.output, measured)
    print(json.dumps(measured, indent=2))


def train_quality(
    pictures: Pictures, minutes: float, seed: int, log: Journal, *, log_every: int = LOG_EVERY
) -> open_clip.CLIP:
    """A model trained on these pictures for so much processor time, in evaluation mode."""
    model = build_quality_model(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = nn.ModuleList([nn.Linear(model.text_projection.shape[1], sum(CLASSES)) for _ in range(2)])
    parameters = [*model.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=PEAK_LR, betas=(0.9, 0.98), weight_decay=0.02)
    generator, draws = torch.Generator().manual_seed(seed), random.Random(seed)
    started_s, recent, step, spent_s = time.process_time(), dict[str, float](), 0, 0.0
    while spent_s < 60 * minutes:
        optimiser.param_groups[0]["lr"] = PEAK_LR * min(1.0, (step + 1) / 50) * (1 - 0.95 * spent_s / (60 * minutes))
        index = torch.randint(len(pictures.scenes), (BATCH,), generator=generator)
        losses = quality_losses(model, heads, *pictures.batch(index), generator, draws)
        loss = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        for name, value in losses.items():
            recent[name] = 0.9 * recent.get(name, float(value.detach())) + 0.1 * float(value.detach())
        step, spent_s = step + 1, time.process_time() - started_s
        if step % log_every == 0:
            log({"phase": "train", "step": step, "cpu_s": spent_s, **recent})
    return model.eval()


def quality_losses(
    model: open_clip.CLIP,
    heads: nn.ModuleList,
    scenes: list[Scene],
    pixels: torch.Tensor,
    generator: torch.Generator,
    draws: random.Random,
) -> dict[str, torch.Tensor]:
    """The three losses of one batch, each a scalar."""
    count = len(scenes)
    spoilt = spoil(pixels[:SPOILT], generator)
    images = embed_images(model, torch.cat([pixels, spoilt]))
    wrong = [near_miss(scene, draws) for scene in scenes]
    texts = embed_captions(model, [*scenes, *wrong])
    scale = model.logit_scale.exp().clamp(max=MAX_SCALE)
    right_BD, wrong_BD = texts[:count], texts[count:]
    cosines_BB = images[:count] @ right_BD.T
    near_B1 = (images[:count] * wrong_BD).sum(dim=1, keepdim=True)
    same = torch.arange(count)
    contrast = F.cross_entropy(scale * torch.cat([cosines_BB, near_B1], dim=1), same)
    contrast = contrast + F.cross_entropy(scale * cosines_BB.T, same)
    better = (images[:SPOILT] * right_BD[:SPOILT]).sum(dim=1)
    worse = (images[count:] * right_BD[:SPOILT]).sum(dim=1)
    labels = torch.tensor([scene_labels(scene) for scene in scenes])
    told = [_label_loss(head(part), labels) for head, part in zip(heads, (images[:count], right_BD), strict=True)]
    return {
        "contrast": contrast,
        "preference": F.softplus(scale * (worse - better)).mean(),
        "labels": torch.stack(told).sum(),
    }


@torch.no_grad()
def measure_quality(model: open_clip.CLIP, pictures: Pictures, seed: int) -> dict[str, float]:
    """On held-out pictures, the share of right answers to three questions.

    ``near_miss``: the right caption beats one with a word changed; ``of_64``: it is the best of 64 captions;
    ``unspoilt``: the picture beats a spoilt copy of itself.
    """
    scenes, pixels = pictures.batch(torch.arange(len(pictures.scenes)))
    draws, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    images = torch.cat([embed_images(model, part) for part in pixels.split(64)])
    spoilt = torch.cat([embed_images(model, spoil(part, generator)) for part in pixels.split(64)])
    right = embed_captions(model, scenes)
    cosine = (images * right).sum(dim=1)
    near = (images * embed_captions(model, [near_miss(scene, draws) for scene in scenes])).sum(dim=1)
    pairs = zip(images.split(64), right.split(64), strict=True)
    best = torch.cat([(part @ text.T).argmax(dim=1) == torch.arange(len(part)) for part, text in pairs])
    shares = {"near_miss": cosine > near, "of_64": best, "unspoilt": cosine > (spoilt * right).sum(dim=1)}
    return {name: float(hits.float().mean()) for name, hits in shares.items()} | {"cosine": float(cosine.mean())}


def embed_images(model: open_clip.CLIP, pixels: torch.Tensor) -> torch.Tensor:
    """Normalised features (B, D) of pixels (B, 3, 64, 64) in [0, 1]."""
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    return model.encode_image((pixels - mean) / deviation, normalize=True)


def embed_captions(model: open_clip.CLIP, scenes: list[Scene]) -> torch.Tensor:
    """Normalised features (B, D) of the scenes' captions."""
    ids = clip_tokenizer(MAX_TEXT_TOKENS, vocabulary_words())(
        [caption(scene) for scene in scenes], padding="max_length", truncation=True, return_tensors="pt"
    ).input_ids
    return model.encode_text(ids, normalize=True)


def make_pictures(count: int, seed: int, vae: AutoencoderKL, *, held_out: bool) -> Pictures:
    """Renderings, the first twentieth of them passed through the autoencoder, as every generated picture is."""
    draws, numbers = random.Random(seed), np.random.default_rng(seed)
    scenes = [sample_scene(draws, held_out=held_out, two_objects=0.4) for _ in range(count)]
    rendered = torch.from_numpy(np.stack([render(scene, numbers) for scene in scenes])).permute(0, 3, 1, 2)
    trips = count // 20
    with torch.no_grad():
        parts = [
            vae.decode(vae.encode(part * 2 - 1).latent_dist.mode()).sample / 2 + 0.5
            for part in rendered[:trips].split(64)
        ]
    pixels = torch.cat([*parts, rendered[trips:]]).clamp(0, 1)
    return Pictures(scenes, (pixels * 255).round().to(torch.uint8))


def _label_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    columns = enumerate(logits.split(CLASSES, dim=1))
    return torch.stack(
        [
            F.cross_entropy(guess, labels[:, column], ignore_index=IGNORED)
            for column, guess in columns
            if bool((labels[:, column] != IGNORED).any())
        ]
    ).mean()


if __name__ == "__main__":
    main()
