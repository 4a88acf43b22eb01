"""Trains the embedded model from nothing: ``python -m recache_ray.diffusion.shapes.train --output DIR --minutes N``.

Stages: autoencoder, a head start for the text encoders, then transformer and text encoders together. Stopped at any
point, the same command continues. DIR/snapshot is a complete FluxPipeline directory, rewritten every few minutes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch.multiprocessing.spawn import spawn

from recache_ray.diffusion.embedded_training.journal import Journal
from recache_ray.diffusion.shapes.architecture import build_pipeline
from recache_ray.diffusion.shapes.team import Team
from recache_ray.diffusion.shapes.text_warmup import warm_up_text
from recache_ray.diffusion.shapes.train_transformer import train_transformer
from recache_ray.diffusion.shapes.train_vae import train_vae


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes.train", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoint, snapshot and log")
    parser.add_argument("--minutes", type=float, default=65.0, help="time for transformer and text encoders")
    parser.add_argument("--vae-minutes", type=float, default=11.0, help="time for the autoencoder")
    parser.add_argument("--workers", type=int, default=2, help="processes that share each batch")
    parser.add_argument("--rank", type=int, help="run this one worker only; needs --meeting, the same for all")
    parser.add_argument("--meeting", type=Path, help="a file that does not exist yet, where workers find each other")
    parser.add_argument("--start", type=Path, help="a trained pipeline to train further, e.g. the one that ships")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.workers)
    if chosen.rank is not None:
        store = f"file://{chosen.meeting.absolute()}"
        return _work(chosen.rank, chosen.workers, store, chosen.output, chosen.minutes, chosen.seed)
    if chosen.start is not None and not (chosen.output / "start").exists():
        shutil.copytree(chosen.start, chosen.output / "start")
    return train(chosen.output, chosen.minutes, chosen.vae_minutes, chosen.seed, chosen.workers)


def train(output: Path, minutes: float, vae_minutes: float, seed: int, workers: int) -> None:
    """All stages, each skipped where its result already lies in `output`."""
    log = Journal(output / "training_log.jsonl")
    if not (output / "start" / "model_index.json").exists():
        if not (output / "vae" / "config.json").exists():
            train_vae(vae_minutes, seed, log).save_pretrained(output / "vae")
        torch.set_num_threads(1)  # small operators: on a busy machine barriers cost more than threads give
        pipeline = build_pipeline(AutoencoderKL.from_pretrained(output / "vae").eval(), seed)
        log({"phase": "text", "labels_right": warm_up_text(pipeline, seed)})
        pipeline.save_pretrained(output / "start")
    with tempfile.TemporaryDirectory() as meeting_place:
        work = (workers, f"file://{meeting_place}/store", output, minutes, seed)
        spawn(_work, args=work, nprocs=workers)


def _work(rank: int, workers: int, store: str, output: Path, minutes: float, seed: int) -> None:
    """One process of the team; one thread each, because barriers inside operators stall on a busy machine."""
    torch.set_num_threads(1)
    with Team(rank, workers, store) as team:
        log = Journal(output / "training_log.jsonl")
        train_transformer(output / "start", minutes, seed, output, team, log)


if __name__ == "__main__":
    main()
