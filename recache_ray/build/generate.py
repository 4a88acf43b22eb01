"""The verb ``generate``: one picture or video at a budget, in this process."""

from __future__ import annotations

from pathlib import Path

from recache_ray.build.adapter import make_adapter
from recache_ray.build.budgets import generation_budget
from recache_ray.build.frames_file import check_output, save_frames
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.build.trained_run import load_trained
from recache_ray.build.worker import make_scorer
from recache_ray.config.root import Config
from recache_ray.diffusion.generate import generate as run_generation
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, Prompt


def generate(config: Config) -> str:
    """Draw ``generate.prompt`` with the run's schedule for ``generate.budget`` and write ``generate.output``.

    Raises:
        BadInputError: if the run is not trained, the budget is not one, or the file cannot be written.
    """
    section = config.generate
    output = Path(section.output)
    check_output(output, config.model.frames, name="generate.output")
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
