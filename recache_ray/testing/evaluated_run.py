"""A run's folder as training and evaluation leave it, from closed forms instead of a model."""

from __future__ import annotations

import json
import math
import random
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from recache_ray.baselines.registry import BASELINES, baseline_schedules
from recache_ray.evaluation.frontier import frontier_rows, write_frontier
from recache_ray.evaluation.grid import collect_examples
from recache_ray.evaluation.measure import Methods, measure
from recache_ray.evaluation.pictures import BEST_RIVAL, PICTURES, pictures_of
from recache_ray.evaluation.rivals import best_rivals
from recache_ray.evaluation.samples import SAMPLES, samples_of
from recache_ray.evaluation.search_cost import COSTS, SearchCost
from recache_ray.evaluation.table import POLICY
from recache_ray.evaluation.work import Work
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.references.encoding import encode_frames
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.testing.scripted_pool import ScriptedPool
from recache_ray.testing.scripted_scores import TenthCost, gap_score, held_out_requests
from recache_ray.tracking.jsonl import JsonlTracker
from recache_ray.types import GenerationRequest, MechanismSpec, RewardBreakdown

_SIDE = 48
_SPEC = MechanismSpec("taylor", 1)


def write_evaluated_run(
    folder: Path,
    *,
    num_steps: int = 20,
    budgets: tuple[int, ...] = (3, 4, 5, 6, 8),
    prompts: int = 16,
    frames: int = 1,
) -> Path:
    """Fill ``folder`` with policy, schedules, metrics and evaluation; the schedules favour late steps.

    With more ``frames`` than one the pictures are videos.
    """
    policy = BudgetPolicy(num_steps=num_steps, budgets=list(budgets), seed=0)
    policy.save_pretrained(folder / "policy")
    schedules = {k: _late(num_steps, k) for k in budgets}
    model = {"id": "closed form", "width": _SIDE, "height": _SIDE, "dtype": "float32"}
    facts = {"seed": 0, "date": "2026-01-01T00:00:00Z", "cpu": "abacus", "cpu_count": 2, "version/numpy": "2.0"}
    ScheduleTable(num_steps, schedules, model, {"id": _SPEC.id}, provenance=facts).save(folder / "schedules.json")
    settings = {"model": {"num_steps": num_steps}, "learning": {"budgets": ",".join(map(str, budgets))}}
    (folder / "config.json").write_text(json.dumps({**settings, "run": {"dir": str(folder)}}), encoding="utf-8")

    methods: Methods = {
        POLICY: {k: (schedules[k],) for k in budgets},
        **{name: {k: baseline_schedules(name, num_steps, k, random_count=2) for k in budgets} for name in BASELINES},
    }
    pool, requests = ScriptedPool(_noisy_score, draw=partial(_disc, frames)), held_out_requests(prompts)
    measured = measure(pool, methods, requests, _SPEC)
    rows = frontier_rows(measured, methods, _SPEC, TenthCost(), bootstrap_samples=200, seed=0)
    rivals = {k: row.schedule for k, row in best_rivals(rows).items()}
    shown: Methods = {POLICY: methods[POLICY], BEST_RIVAL: {k: methods[rivals[k]][k] for k in budgets}}
    examples = collect_examples(pool, shown, requests[:3], _SPEC, first_task_id=measured.num_tasks)
    evaluation = folder / "evaluation"
    write_frontier(rows, evaluation)
    SAMPLES.write(samples_of(measured, methods, _SPEC), evaluation / "samples.parquet")
    PICTURES.write(pictures_of(examples, rivals), evaluation / "pictures.parquet")
    COSTS.write(_costs(budgets), evaluation / "cost.parquet")
    _write_metrics(folder / "metrics.jsonl")
    return folder


def _costs(budgets: tuple[int, ...]) -> list[SearchCost]:
    """Made-up figures: one policy for all budgets, a search for each."""
    return [
        SearchCost.of(POLICY, "policy gradient", budgets, Work(600, 4000, 2500, 60.0)),
        SearchCost.of(POLICY, "polish", budgets, Work(400, 2000, 1500, 40.0)),
        *(SearchCost.of("budcache", "search", (k,), Work(200, 200 * k, 150 * k, 5.0 * k)) for k in budgets),
    ]


def _late(num_steps: int, budget: int) -> Schedule:
    """Gaps that shrink toward the end."""
    steps = {round((num_steps - 1) * (i / budget) ** 0.9) for i in range(budget)}
    missing = [step for step in range(num_steps) if step not in steps]
    return Schedule.from_steps(num_steps, sorted([*steps, *missing[: budget - len(steps)]]))


def _noisy_score(request: GenerationRequest, schedule: Schedule) -> RewardBreakdown:
    """The closed form, lower for late steps, times what the prompt makes of the schedule."""
    exact = gap_score(request, schedule)
    noise = math.exp(random.Random(f"{request.noise_seed} {schedule}").gauss(0, 0.3))
    lpips = 0.1 * exact.metrics["lpips"] * noise * (1.3 - 0.3 * schedule.compute_steps[-1] / schedule.num_steps)
    psnr = 100.0 if lpips == 0 else 10 - 10 * math.log10(lpips)
    return RewardBreakdown(-lpips, {"lpips": lpips, "psnr": psnr, "ssim": 1 - lpips / 2})


def _disc(frames: int, request: GenerationRequest, schedule: Schedule) -> bytes:
    """A disc that lies the farther from its place the larger the LPIPS, and falls in a video."""
    offset = 60 * _noisy_score(request, schedule).metrics["lpips"]
    generator = random.Random(request.noise_seed)
    colour = tuple(generator.randrange(60, 256) for _ in range(3))
    pictures = []
    for frame in range(frames):
        image = Image.new("RGB", (_SIDE, _SIDE), (28, 32, 40))
        ImageDraw.Draw(image).ellipse((8 + offset, 12 + frame, 32 + offset, 36 + frame), fill=colour)
        pictures.append(np.asarray(image))
    return encode_frames(np.stack(pictures))


def _write_metrics(path: Path) -> None:
    tracker, generator = JsonlTracker(path), random.Random(0)
    for update in range(1, 25):
        lpips = 0.05 + 0.1 * math.exp(-update / 8) + generator.gauss(0, 0.008)
        figures = {"reward/mean": -lpips, "reward/lpips/mean": lpips, "policy/entropy": 0.9 - 0.02 * update}
        tracker.log_metrics({**figures, "rollout/forwards_saved": 0.5, "rollout/evaluations": 40.0}, update)
    for evaluations in range(100, 500, 40):
        tracker.log_metrics(
            {"polish/lpips": 5 / evaluations, "polish/evaluations": float(evaluations)}, 24 + evaluations
        )
    tracker.log_metrics({"eval/lpips": 0.05}, 3)
    tracker.close()
