"""Measures how well pictures follow captions never trained on: ``python -m recache_ray.diffusion.shapes.check``.

Prints the accuracy per attribute and of shape, colour, position and background together; exit status 1 where that
joint accuracy is below the bar.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import FluxPipeline

from recache_ray.diffusion.shapes import MAX_SEQUENCE_LENGTH, RESOLUTION_PX, model_path
from recache_ray.diffusion.shapes.readout import Reading, accuracies, load_readout, read
from recache_ray.diffusion.shapes.scene import Scene, caption, sample_scene

BAR = 0.9
BATCH = 16


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m recache_ray.diffusion.shapes.check", description=__doc__)
    parser.add_argument("--model", type=Path, default=model_path())
    parser.add_argument("--count", type=int, default=200, help="held-out captions")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--two-objects", type=float, default=0.25, help="share of captions with two objects")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    pipeline = FluxPipeline.from_pretrained(chosen.model)
    pipeline.set_progress_bar_config(disable=True)
    draws = random.Random(chosen.seed)
    scenes = [sample_scene(draws, held_out=True, two_objects=chosen.two_objects) for _ in range(chosen.count)]
    started = time.monotonic()
    readings = list(read_generated(pipeline, scenes, chosen.steps, chosen.seed))
    single = [index for index, scene in enumerate(scenes) if len(scene.objects) == 1]
    double = [index for index, scene in enumerate(scenes) if len(scene.objects) == 2]
    result: dict[str, object] = {"captions": len(scenes), "steps": chosen.steps, "seed": chosen.seed}
    for name, which in (("all", range(len(scenes))), ("one_object", single), ("two_objects", double)):
        if which:
            result[name] = accuracies([scenes[index] for index in which], [readings[index] for index in which])
    result["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(result, indent=2))
    joint = accuracies(scenes, readings)["joint"]
    print(f"joint accuracy {joint:.3f}, bar {BAR}: {'pass' if joint >= BAR else 'fail'}")
    return 0 if joint >= BAR else 1


def read_generated(pipeline: FluxPipeline, scenes: list[Scene], steps: int, seed: int) -> Iterator[Reading]:
    """Draws every scene's caption with the pipeline and reads the picture; noise depends on seed and index only."""
    readout = load_readout()
    for start in range(0, len(scenes), BATCH):
        pixels = generate(pipeline, [caption(scene) for scene in scenes[start : start + BATCH]], steps, seed, start)
        yield from read(readout, pixels)


def generate(pipeline: FluxPipeline, captions: list[str], steps: int, seed: int, first: int = 0) -> torch.Tensor:
    """Pictures (B, 3, 64, 64) in [-1, 1] of the captions."""
    pixels = pipeline(
        captions,
        height=RESOLUTION_PX,
        width=RESOLUTION_PX,
        num_inference_steps=steps,
        guidance_scale=1.0,
        max_sequence_length=MAX_SEQUENCE_LENGTH,
        generator=[torch.Generator().manual_seed(100_003 * seed + first + index) for index in range(len(captions))],
        output_type="pt",
    ).images
    return pixels.float().mul(2).sub(1)


if __name__ == "__main__":
    sys.exit(main())
