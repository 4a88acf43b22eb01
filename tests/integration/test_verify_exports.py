"""Exports loaded into the real libraries: pinned cache-dit and diffusers, tiny pipelines, counted blocks."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from diffusers import FluxPipeline, HunyuanVideoPipeline, WanPipeline

from recache_ray.export.registry import TARGETS
from recache_ray.export.source import export_source
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.verification.targets import attach_file
from recache_ray.verification.tiny_pipelines import tiny_pipeline
from recache_ray.verification.verify import Verdict, verify_schedule

pytestmark = pytest.mark.integration

MODELS = (
    ("FluxPipeline", 1),
    ("FluxPipeline", 2),
    ("WanPipeline", 2),
    ("WanPipeline", 1),
    ("HunyuanVideoPipeline", 1),
)


@pytest.fixture(autouse=True)
def untouched_pipelines() -> Iterator[None]:
    """cache-dit replaces ``__call__`` of the pipeline's class; other tests must not meet that."""
    kinds = (FluxPipeline, WanPipeline, HunyuanVideoPipeline)
    before = [kind.__call__ for kind in kinds]
    yield
    for kind, call in zip(kinds, before, strict=True):
        kind.__call__ = call


def table_of(schedule: Schedule, pipeline_class: str, forwards: int, mechanism: str) -> ScheduleTable:
    model = {"id": "tiny", "pipeline_class": pipeline_class, "forwards_per_step": forwards}
    return ScheduleTable(schedule.num_steps, {schedule.budget: schedule}, model, {"id": mechanism})


def exported(folder: Path, target: str, table: ScheduleTable) -> Path:
    made = TARGETS[target].make(export_source(table, table.budgets[0]))
    ((name, text),) = made.files.items()
    (folder / name).write_text(text)
    return folder / name


def verdict_of(target: str, path: Path, schedule: Schedule, pipeline_class: str, forwards: int) -> Verdict:
    return verify_schedule(tiny_pipeline(pipeline_class, forwards == 2), attach_file(target, path), schedule)


def random_schedule(generator: random.Random) -> Schedule:
    num_steps = generator.randint(6, 16)
    return Schedule.from_steps(
        num_steps, (0, *generator.sample(range(1, num_steps), generator.randint(1, num_steps - 2)))
    )


@pytest.mark.parametrize("target", ["cache-dit", "cache-dit-python", "sglang", "diffusers"])
@pytest.mark.parametrize(("pipeline_class", "forwards"), MODELS)
def test_random_schedules_run_exactly_three_generations_in_a_row(
    tmp_path: Path, target: str, pipeline_class: str, forwards: int
) -> None:
    generator = random.Random(f"{target} {pipeline_class} {forwards}")
    for mechanism in ("reuse", "taylor1"):
        schedule = random_schedule(generator)
        path = exported(tmp_path, target, table_of(schedule, pipeline_class, forwards, mechanism))
        verdict = verdict_of(target, path, schedule, pipeline_class, forwards)
        assert verdict.exact, f"{schedule}: {verdict.reason}"
        lists = 0 if target == "diffusers" else 2 if pipeline_class == "HunyuanVideoPipeline" else 1
        assert verdict.blocks_cached == lists


SCHEDULE = Schedule.from_steps(12, (0, 1, 4, 7, 11))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("policy: static", "policy: dynamic"), r"generation 1, step 2, .*4 of 4 blocks ran, the schedule caches it"),
        (("[1, 1, 0,", "[0, 1, 0,"), r"generation 1, step 0: the library failed: AssertionError"),
        (("[1, 1, 0, 0, 1,", "[1, 1, 0, 1, 0,"), r"step 3, guidance branch 0: 4 of 4 .* the schedule caches it"),
        (("num_inference_steps: 12", "num_inference_steps: 9"), r"generation 1, step \d+.*: .*the schedule c"),
        (("enable_separate_cfg: true", "enable_separate_cfg: false"), r"generation 1, step \d+, guidance branch [01]"),
        (("steps_computation_mask", "steps_mask"), r"generation 1, step \d+|the library refused it"),
    ],
    ids=["dynamic", "mask-0", "shifted", "other-T", "guidance", "misspelt"],
)
def test_a_broken_export_is_caught_with_the_step_named(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    path = exported(tmp_path, "cache-dit", table_of(SCHEDULE, "WanPipeline", 2, "reuse"))
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    verdict = verdict_of("cache-dit", path, SCHEDULE, "WanPipeline", 2)
    assert not verdict.exact and re.search(reason, verdict.reason), verdict.reason


USER_SCRIPT = """
import sys, cache_dit, torch
from diffusers import FluxPipeline
pipe = FluxPipeline.from_pretrained(sys.argv[1])
cache_dit.enable_cache(pipe, **cache_dit.load_configs(sys.argv[2]))
for _ in range(2):
    pipe("a red star", height=16, width=16, num_inference_steps=12, max_sequence_length=16, output_type="latent")
print("recache_ray" in sys.modules, sorted(cache_dit.summary(pipe, logging=False)[0].cached_steps))
"""


def test_ten_lines_that_know_only_cache_dit_and_diffusers_run_the_exact_steps(tmp_path: Path) -> None:
    from recache_ray.testing.tiny_flux import tiny_flux_pipeline

    tiny_flux_pipeline().save_pretrained(tmp_path / "model")
    path = exported(tmp_path, "cache-dit", table_of(SCHEDULE, "FluxPipeline", 1, "reuse"))
    (tmp_path / "script.py").write_text(USER_SCRIPT)
    command = [sys.executable, "script.py", "model", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    cached = [step for step in range(12) if not SCHEDULE.computes(step)]
    assert done.stdout.strip().splitlines()[-1] == f"False {cached}"
