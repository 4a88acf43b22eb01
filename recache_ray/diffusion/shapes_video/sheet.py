"""Draws a contact sheet of videos: ``python -m recache_ray.diffusion.shapes_video.sheet --output FILE.png``.

One row a video, its frames from left to right, its caption on the right, in red where it was read as something else.
"""

from __future__ import annotations

import argparse
import random
import textwrap
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from recache_ray.diffusion.shapes_video import GUIDANCE_SCALE, NUM_FRAMES, RESOLUTION_PX, model_path
from recache_ray.diffusion.shapes_video.check import generate, load
from recache_ray.diffusion.shapes_video.reading import compare, read
from recache_ray.diffusion.shapes_video.render import Video
from recache_ray.diffusion.shapes_video.scene import all_scenes, caption

MAGNIFIED, GAP_PX, TEXT_PX = 2, 3, 150


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes_video.sheet", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=model_path())
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=GUIDANCE_SCALE)
    parser.add_argument("--seed", type=int, default=2)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    scenes = random.Random(chosen.seed).sample(all_scenes(held_out=True), chosen.rows)
    captions = [caption(scene) for scene in scenes]
    videos = generate(load(chosen.model), captions, chosen.steps, chosen.seed, chosen.guidance)
    right = [compare(scene, read(video))["joint"] for scene, video in zip(scenes, videos, strict=True)]
    sheet(videos, captions, right).save(chosen.output, optimize=True)


def sheet(videos: list[Video], captions: list[str], right: list[bool]) -> Image.Image:
    """The sheet of videos (F, H, W, 3) in [0, 1]."""
    side = MAGNIFIED * RESOLUTION_PX
    wide, tall = side + GAP_PX, side + GAP_PX
    canvas = Image.new("RGB", (NUM_FRAMES * wide + TEXT_PX, len(videos) * tall), "white")
    pen = ImageDraw.Draw(canvas)
    for row, (video, text) in enumerate(zip(videos, captions, strict=True)):
        for column, frame in enumerate(video):
            picture = Image.fromarray((frame * 255).round().astype(np.uint8))
            canvas.paste(picture.resize((side, side), Image.Resampling.NEAREST), (column * wide, row * tall))
        lines = "\n".join(textwrap.wrap(text, width=24))
        ink = "black" if right[row] else "red"
        pen.multiline_text((NUM_FRAMES * wide + GAP_PX, row * tall + 8), lines, fill=ink, font_size=10)
    return canvas


if __name__ == "__main__":
    main()
