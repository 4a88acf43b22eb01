"""Trains the embedded video model: ``python -m recache_ray.diffusion.shapes_video.train --output DIR --minutes N``.

The codec is fitted in closed form, then transformer and text encoder are trained together. Stopped at any point, the
same command continues. DIR/snapshot is a complete WanPipeline directory, rewritten every few minutes.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import torch

from recache_ray.diffusion.embedded_training.journal import Journal
from recache_ray.diffusion.shapes_video.architecture import LATENT_CHANNELS, build_pipeline
from recache_ray.diffusion.shapes_video.codec import PatchCodec, fit_codec, round_trip_psnr_db
from recache_ray.diffusion.shapes_video.data import rendered_pixels
from recache_ray.diffusion.shapes_video.scene import sample_scene
from recache_ray.diffusion.shapes_video.train_transformer import train_transformer

FITTED_ON, MEASURED_ON = 600, 100
"""Videos."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes_video.train", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint, snapshot and log")
    parser.add_argument("--minutes", type=float, default=12.0, help="processor time of the training")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)  # small operators: on a busy machine barriers cost more than threads give
    train(chosen.output, chosen.minutes, chosen.seed)


def train(output: Path, minutes: float, seed: int) -> None:
    """Both stages."""
    log = Journal(output / "training_log.jsonl")
    codec = make_codec(seed)
    log({"phase": "codec", "psnr_db": round_trip_psnr_db(codec, _videos(MEASURED_ON, seed + 1))})
    train_transformer(build_pipeline(codec, seed), minutes, seed, output, log)


def make_codec(seed: int) -> PatchCodec:
    """The codec fitted on rendered videos of training scenes."""
    return fit_codec(_videos(FITTED_ON, seed), LATENT_CHANNELS)


def _videos(count: int, seed: int) -> torch.Tensor:
    draws = random.Random(seed)
    scenes = [sample_scene(draws, held_out=False) for _ in range(count)]
    return rendered_pixels(scenes, np.random.default_rng(seed))


if __name__ == "__main__":
    main()
