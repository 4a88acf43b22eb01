"""Draws a sheet of samples with their captions: ``python -m recache_ray.diffusion.shapes.sheet --output FILE.png``."""

from __future__ import annotations

import argparse
import random
import textwrap
from pathlib import Path

import torch
from diffusers import FluxPipeline
from PIL import Image, ImageDraw

from recache_ray.diffusion.shapes import RESOLUTION_PX, model_path
from recache_ray.diffusion.shapes.check import BATCH, generate
from recache_ray.diffusion.shapes.readout import compare, load_readout, read
from recache_ray.diffusion.shapes.scene import caption, sample_scene

MAGNIFIED, TEXT_PX, GAP_PX = 2, 44, 6


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes.sheet", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=model_path())
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    pipeline = FluxPipeline.from_pretrained(chosen.model)
    pipeline.set_progress_bar_config(disable=True)
    draws = random.Random(chosen.seed)
    scenes = [sample_scene(draws, held_out=True) for _ in range(chosen.columns * chosen.rows)]
    captions = [caption(scene) for scene in scenes]
    parts = [
        generate(pipeline, captions[start : start + BATCH], chosen.steps, chosen.seed, start)
        for start in range(0, len(captions), BATCH)
    ]
    pixels = torch.cat(parts)
    try:
        readings = read(load_readout(), pixels)
        right = [compare(scene, reading)["joint"] for scene, reading in zip(scenes, readings, strict=True)]
    except FileNotFoundError:  # a sheet can be drawn before the read-out is trained
        right = [True] * len(scenes)
    sheet(pixels, captions, right, chosen.columns).save(chosen.output, optimize=True)


def sheet(pixels: torch.Tensor, captions: list[str], right: list[bool], columns: int) -> Image.Image:
    """Pictures (B, 3, H, W) in [-1, 1] in rows, each above its caption; red captions were read as wrong."""
    side = MAGNIFIED * RESOLUTION_PX
    wide, tall = side + GAP_PX, side + TEXT_PX
    rows = -(-len(captions) // columns)
    canvas = Image.new("RGB", (columns * wide, rows * tall), "white")
    pen = ImageDraw.Draw(canvas)
    bytes_ = pixels.add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    for index, text in enumerate(captions):
        left, top = index % columns * wide, index // columns * tall
        picture = Image.fromarray(bytes_[index]).resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(picture, (left, top))
        lines = "\n".join(textwrap.wrap(text, width=27)[:4])
        ink = "black" if right[index] else "red"
        pen.multiline_text((left, top + side + 1), lines, fill=ink, font_size=9, spacing=0)
    return canvas


if __name__ == "__main__":
    main()
