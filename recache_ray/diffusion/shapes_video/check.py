"""Measures how well videos follow captions never trained on: ``python -m recache_ray.diffusion.shapes_video.check``.

Prints the accuracy per word of the caption and of all words together; exit status 1 where that is below the bar.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import WanPipeline

from recache_ray.diffusion.quiet import quiet_loading
from recache_ray.diffusion.shapes_video import (
    GUIDANCE_SCALE,
    MAX_SEQUENCE_LENGTH,
    NUM_FRAMES,
    RESOLUTION_PX,
    codec,
    model_path,
)
from recache_ray.diffusion.shapes_video.reading import accuracies, read
from recache_ray.diffusion.shapes_video.render import Video
from recache_ray.diffusion.shapes_video.scene import all_scenes, caption

BAR = 0.8
BATCH = 16


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes_video.check", description=__doc__)
    parser.add_argument("--model", type=Path, default=model_path())
    parser.add_argument("--count", type=int, default=48, help="held-out captions")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=GUIDANCE_SCALE)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    held_out = all_scenes(held_out=True)
    if not 1 <= chosen.count <= len(held_out):
        parser.error(f"--count {chosen.count}: must be from 1 to {len(held_out)}, the captions that are held out")
    torch.set_num_threads(1)
    pipeline = load(chosen.model)
    scenes = random.Random(chosen.seed).sample(held_out, chosen.count)
    started = time.monotonic()
    videos = generate(pipeline, [caption(scene) for scene in scenes], chosen.steps, chosen.seed, chosen.guidance)
    result = accuracies(scenes, [read(video) for video in videos])
    settings = {"captions": chosen.count, "steps": chosen.steps, "guidance": chosen.guidance, "seed": chosen.seed}
    print(json.dumps({**settings, **result, "seconds": round(time.monotonic() - started, 1)}, indent=2))
    print(f"all words right in {result['joint']:.3f}, bar {BAR}: {'pass' if result['joint'] >= BAR else 'fail'}")
    return 0 if result["joint"] >= BAR else 1


def load(folder: Path) -> WanPipeline:
    """The pipeline in a folder; diffusers finds its codec because that module is imported."""
    assert codec.__name__ in sys.modules
    with quiet_loading(warnings=False):  # of the codec's foreign class
        pipeline = WanPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(pipeline: WanPipeline, captions: list[str], steps: int, seed: int, guidance: float) -> list[Video]:
    """Videos (F, H, W, 3) in [0, 1] of the captions; the noise depends on seed and place only."""
    videos: list[Video] = []
    for start in range(0, len(captions), BATCH):
        part = captions[start : start + BATCH]
        videos += list(
            pipeline(
                part,
                negative_prompt="",
                height=RESOLUTION_PX,
                width=RESOLUTION_PX,
                num_frames=NUM_FRAMES,
                num_inference_steps=steps,
                guidance_scale=guidance,
                max_sequence_length=MAX_SEQUENCE_LENGTH,
                generator=[torch.Generator().manual_seed(100_003 * seed + start + row) for row in range(len(part))],
                output_type="np",
            ).frames.astype(np.float32)
        )
    return videos


if __name__ == "__main__":
    sys.exit(main())
