"""Exhaustive tables by real rollouts: every schedule of the chosen budgets on every prompt, measured once and kept."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recache_ray.build.pool import open_pool
from recache_ray.build.probe import probe_model
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.references import fill_references
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.build.table_calibration import forecast_errors
from recache_ray.caching.registry import parse_mechanism
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.reward_table import RewardTable, read_costs, write_costs
from recache_ray.learning.measure import measure
from recache_ray.references.identity import request_key
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import parse_budgets
from recache_ray.schedules.enumeration import every_schedule
from recache_ray.types import GenerationRequest, MechanismSpec

_MECHANISMS = ("reuse", "taylor1", "newton2", "hermite2")


def table_mechanisms(config: Config) -> tuple[MechanismSpec, ...]:
    """The configured mechanisms, or those that the targets of learning are stated for.

    Raises:
        BadInputError: for an unknown mechanism.
    """
    return tuple(map(parse_mechanism, config.bench.mechanisms or _MECHANISMS))


def exhaustive_tables(config: Config, on_progress: OnProgress) -> list[RewardTable]:
    """Every mechanism's table at every T on every prompt set; measures what ``bench.tables_dir`` does not hold yet.

    A file holds one prompt and one budget, in a folder named after the model's fingerprint, T, mechanism and reward, so
    an interrupted build goes on where it stopped, and tables that share a prompt share its rewards.

    Raises:
        BadInputError: if a setting does not fit or a stored file is damaged.
        RunFailedError: if a rollout fails.
    """
    bench = config.bench
    if not bench.num_steps:
        raise BadInputError("bench.num_steps = []: must hold at least one T; add bench.num_steps=[12]")
    budgets = {
        num_steps: parse_budgets(bench.budgets, num_steps, name="bench.budgets") for num_steps in bench.num_steps
    }
    prompts = prompt_set(config).train
    if len(prompts) < bench.prompts * bench.prompt_sets:
        raise BadInputError(
            f"bench.prompts * bench.prompt_sets = {bench.prompts * bench.prompt_sets}: there are {len(prompts)} "
            "training prompts; raise prompts.num_train"
        )
    requests = requests_of(prompts[: bench.prompts * bench.prompt_sets])
    mechanisms = table_mechanisms(config)
    return [
        table
        for num_steps in budgets
        for table in _tables_at(num_steps, config, mechanisms, requests, budgets[num_steps], on_progress)
    ]


def _tables_at(
    num_steps: int,
    config: Config,
    mechanisms: Sequence[MechanismSpec],
    requests: Sequence[GenerationRequest],
    budgets: Sequence[int],
    on_progress: OnProgress,
) -> list[RewardTable]:
    references = Path(config.bench.tables_dir) / f"references-T{num_steps}"
    config = replace(
        config,
        model=replace(config.model, num_steps=num_steps),
        references=replace(config.references, dir=str(references)),
    )
    with open_pool(config, on_progress) as pool:
        fill_references(pool, requests, config.references.requests_per_task, on_progress)
        folders = [_folder(config, pool, mechanism, requests[0]) for mechanism in mechanisms]
        places = list(zip(mechanisms, folders, strict=True))
        _measure_missing(pool, places, requests, budgets, num_steps, on_progress)
        errors = {
            (folder, request): forecast_errors(pool, folder, _name(folder, request), mechanism, request)
            for mechanism, folder in places
            for request in requests
        }
    size = config.bench.prompts
    return [
        RewardTable(
            f"T = {num_steps}, {mechanism.id}, set {number}",
            tuple(schedule for budget in budgets for schedule in every_schedule(num_steps, budget)),
            _costs(folder, chosen, budgets, num_steps),
            np.mean([errors[folder, request] for request in chosen], axis=0),
        )
        for mechanism, folder in places
        for number in range(config.bench.prompt_sets)
        for chosen in [requests[number * size : (number + 1) * size]]
    ]


def _folder(config: Config, pool: RolloutPool, mechanism: MechanismSpec, request: GenerationRequest) -> Path:
    """The folder of one mechanism's costs, with what its name stands for in ``identity.json``."""
    identity = {
        "model": dict(probe_model(pool, mechanism, request).model),
        "mechanism": mechanism.id,
        "reward": {"lpips_net": config.reward.lpips_net, "lpips_weights": config.reward.lpips_weights},
    }
    text = json.dumps(identity, indent=2, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    folder = Path(config.bench.tables_dir) / f"{mechanism.id}-T{config.model.num_steps}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identity.json").write_text(text + "\n", encoding="utf-8")
    return folder


def _name(folder: Path, request: GenerationRequest) -> str:
    """What files of this prompt are called."""
    return request_key(folder.name, request.prompt.text, request.noise_seed)[:16]


def _path(folder: Path, request: GenerationRequest, budget: int) -> Path:
    return folder / f"{_name(folder, request)}-k{budget:02}.parquet"


def _measure_missing(
    pool: RolloutPool,
    places: Sequence[tuple[MechanismSpec, Path]],
    requests: Sequence[GenerationRequest],
    budgets: Sequence[int],
    num_steps: int,
    on_progress: OnProgress,
) -> None:
    missing = [
        (mechanism, request, list(every_schedule(num_steps, budget)), path)
        for mechanism, folder in places
        for request in requests
        for budget in budgets
        if not (path := _path(folder, request, budget)).exists()
    ]
    clock = PhaseClock("tables", sum(len(schedules) for _, _, schedules, _ in missing))
    task_ids: Iterator[int] = itertools.count(1)
    done = 0
    for mechanism, request, schedules, path in missing:
        wanted = [(request, schedule) for schedule in schedules]
        groups, failures = measure(pool, mechanism, wanted, task_ids, lambda: None)
        if failures:
            raise RunFailedError(f"table of {mechanism.id}: a rollout failed ({failures[0].reason})")
        costs = {r.schedule: r.breakdown.metrics["lpips"] for group in groups for r in group.rollouts}
        write_costs(path, {schedule: costs[schedule] for schedule in schedules})
        done += len(schedules)
        on_progress(clock.at(done))


def _costs(
    folder: Path, requests: Sequence[GenerationRequest], budgets: Sequence[int], num_steps: int
) -> NDArray[np.float64]:
    """Stored costs [M, P], schedules by budget and then in the order of :func:`every_schedule`."""
    blocks = []
    for budget in budgets:
        listed = list(every_schedule(num_steps, budget))
        blocks.append([read_costs(_path(folder, request, budget), listed) for request in requests])
    return np.concatenate([np.array(block, dtype=np.float64).T for block in blocks])
