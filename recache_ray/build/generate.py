"""The verb ``generate``: one picture or video at a budget, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from recache_ray.build.budgets import generation_budget
from recache_ray.build.evaluate import load_trained
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.build.worker import make_adapter, make_scorer
from recache_ray.config.root import Config
from recache_ray.diffusion.generate import generate as run_generation
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, Prompt

_MOVING = (".webp", ".gif")
"""Formats for several frames; the first keeps every bit."""


def generate(config: Config) -> str:
    """Draw ``generate.prompt`` with the run's schedule for ``generate.budget`` and write ``generate.output``.

    Raises:
        BadInputError: if the run is not trained, the budget is not one, or the file cannot be written.
    """
    section = config.generate
    output = Path(section.output)
    if output.suffix.lower() not in Image.registered_extensions():
        raise BadInputError(f"generate.output = {section.output!r}: not a picture format; end it in .png")
    if config.model.frames > 1 and output.suffix.lower() not in _MOVING:
        raise BadInputError(
            f"generate.output = {section.output!r}: holds one of model.frames = {config.model.frames} frames; end it "
            f"in {' or '.join(_MOVING)}"
        )
    if config.model.frames > 1 and section.compare:
        raise BadInputError("generate.compare: metrics take images so far, this model makes videos; leave it out")
    if not output.parent.is_dir():
        raise BadInputError(
            f"generate.output = {section.output!r}: there is no folder {output.parent}; create it first"
        )
    table, policy = load_trained(config)
    budget = generation_budget(config, table.num_steps)
    schedule = table[budget] if budget in table else policy.schedule(budget, table.num_steps)
    adapter = make_adapter(config)
    embeddings = adapter.encode(section.prompt)
    adapter.release_text_encoders()
    request = GenerationRequest(Prompt(0, section.prompt, "test"), section.seed)

    made = run_generation(adapter, embeddings, request, [schedule], mechanism_spec(config))
    save_frames(made.images[0], output, config.model.fps)
    lines = [
        f"{output}: {schedule.budget} of {schedule.num_steps} steps computed in {made.seconds:.2f} s "
        f"({', '.join(map(str, schedule.compute_steps))})"
    ]
    if section.compare:
        full = run_generation(adapter, embeddings, request, [Schedule.full(table.num_steps)], None)
        scorer = make_scorer(config, adapter.spec.device)
        metrics = scorer.score(made.images, full.images[0], section.prompt, all_metrics=True)[0].metrics
        lines.append(
            f"uncached {full.seconds:.2f} s; to it: LPIPS {metrics['lpips']:.4f}, "
            f"PSNR {metrics['psnr']:.1f} dB, SSIM {metrics['ssim']:.4f}"
        )
    return "\n".join(lines)


def save_frames(frames: npt.NDArray[np.uint8], output: Path, fps: int) -> None:
    """Write frames [F, H, W, 3]: one as a picture, several as a moving one, without loss where the format can.

    Raises:
        RunFailedError: if the file cannot be written.
    """
    first, *others = [Image.fromarray(frame) for frame in frames]
    moving: dict[str, Any] = {"save_all": True, "append_images": others, "loop": 0, "lossless": True}
    moving["duration"] = round(1000 / fps)
    partial = output.with_name(f".partial-{output.name}")
    try:
        first.save(partial, **(moving if others else {}))
        partial.replace(output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise RunFailedError(
            f"{output}: cannot be written ({error.strerror or error}); choose another output"
        ) from error
