"""Rivals that search, through the run's pool and on its training prompts; their answers are kept in its folder."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

from recache_ray.baselines.annealing import PUBLISHED
from recache_ray.baselines.searches import SEARCHES
from recache_ray.build.budgets import evaluation_budgets
from recache_ray.build.calibration import calibration_key
from recache_ray.build.progress import OnProgress, phase_listener
from recache_ray.build.references import fill_references
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.frontier import LPIPS_FLOOR
from recache_ray.evaluation.search.journal import SearchJournal
from recache_ray.evaluation.search.run import Judge, Planned, run_searches
from recache_ray.evaluation.work import Work
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.schedules.enumeration import num_schedules
from recache_ray.types import GenerationRequest, MechanismSpec


@dataclass(frozen=True, slots=True)
class Searched:
    """What the configured searches found, and ran, by name and budget."""

    schedules: Mapping[str, Mapping[int, tuple[Schedule, ...]]] = field(default_factory=dict)
    work: Mapping[tuple[str, int], Work] = field(default_factory=dict)


def check_searches(config: Config) -> None:
    """Refuse settings no search can run under.

    Raises:
        BadInputError: if there are too few train prompts, or evaluations for one schedule on all of them.
    """
    section = config.evaluation
    if not _wanted(config):
        return
    if section.search_prompts > config.prompts.num_train:
        raise BadInputError(
            f"evaluation.search_prompts = {section.search_prompts}: must be at most prompts.num_train = "
            f"{config.prompts.num_train}"
        )
    if 0 < section.search_evaluations < section.search_prompts:
        raise BadInputError(
            f"evaluation.search_evaluations = {section.search_evaluations}: must be at least "
            f"evaluation.search_prompts = {section.search_prompts}, one schedule on every prompt; raise it, or 0"
        )


def search_requests(config: Config) -> tuple[GenerationRequest, ...]:
    """The train prompts a schedule is judged on; none where no search is configured."""
    return requests_of(prompt_set(config).train[: config.evaluation.search_prompts]) if _wanted(config) else ()


def evaluations_per_budget(config: Config, table: ScheduleTable) -> int:
    """As configured, or what the learner measured, divided equally over the budgets it learned.

    Raises:
        BadInputError: if the table does not say how many rewards the learner measured.
    """
    if config.evaluation.search_evaluations:
        return config.evaluation.search_evaluations
    measured = table.provenance.get("evaluations")
    if not isinstance(measured, int) or measured < 1:
        raise BadInputError(
            "evaluation.search_evaluations = 0: schedules.json does not record how many rewards the run measured; "
            "set the number of evaluations per budget"
        )
    return max(measured // len(table.budgets), config.evaluation.search_prompts)


def find_by_search(
    config: Config,
    pool: RolloutPool,
    model: Mapping[str, str | int | float],
    mechanism: MechanismSpec,
    table: ScheduleTable,
    on_progress: OnProgress,
) -> Searched:
    """Search with every configured rival at every evaluated budget, all of them side by side.

    Answers are kept in ``run.dir/calibration/NAME-<digest>/kNN.jsonl``, the digest being of everything that determines
    the search (``identity.json`` spells it out): the same search again takes them from there, an interrupted one goes
    on, another one has a folder of its own.

    Args:
        config: which searches, on how many prompts and evaluations.
        pool: an idle pool.
        model: what the workers' model is, from a ``ModelReport``.
        mechanism: what cached steps do.
        table: of the learned schedules, with the learner's number of evaluations.
        on_progress: told of progress and of what was found where.

    Raises:
        BadInputError: as :func:`check_searches` and :func:`evaluations_per_budget`, or if a record is damaged.
        RunFailedError: if a generation is lost or the folder cannot be written; the next attempt goes on from there.
    """
    check_searches(config)
    names = _wanted(config)
    if not names:
        return Searched()
    requests, num_steps = search_requests(config), config.model.num_steps
    limit = evaluations_per_budget(config, table) // len(requests)
    identity = {
        **calibration_key(config, model, mechanism, requests),
        "reward": f"{config.reward.fidelity} lpips {config.reward.lpips_net} {config.reward.lpips_weights}",
        "schedules_per_budget": limit,
    }
    planned: dict[tuple[str, int], Planned] = {}
    for name in names:
        constants = asdict(PUBLISHED) if name == "budcache" else {}
        folder = _folder(Path(config.run.dir) / "calibration", name, {**identity, **constants})
        for budget in evaluation_budgets(config):
            search = SEARCHES[name](num_steps, budget, evaluations=limit, seed=config.run.seed)
            journal = SearchJournal(folder / f"k{budget:02}.jsonl", num_steps)
            planned[name, budget] = Planned(search, journal, min(limit, num_schedules(num_steps, budget)))
    fill_references(pool, requests, config.references.requests_per_task, on_progress)
    found = run_searches(
        pool, planned, requests, mechanism, _judge(config), on_progress=phase_listener("search", on_progress)
    )
    on_progress(
        f"searched with {', '.join(names)}: {limit} schedules per budget on {len(requests)} train "
        f"prompt{'s' * (len(requests) > 1)}, kept in {Path(config.run.dir) / 'calibration'}"
    )
    return Searched(
        {
            name: {budget: (found[name, budget].result.schedule,) for budget in evaluation_budgets(config)}
            for name in names
        },
        {key: each.work for key, each in found.items()},
    )


def _wanted(config: Config) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(config.evaluation.baselines) if name in SEARCHES)


def _judge(config: Config) -> Judge:
    """Minus the logarithm of the mean cost, so that the published temperatures are relative changes of it."""
    if config.reward.fidelity == "log":
        return fmean
    return lambda rewards: -math.log(max(-fmean(rewards), LPIPS_FLOOR))


def _folder(parent: Path, name: str, identity: Mapping[str, str | int | float]) -> Path:
    """The folder of one search's answers, with what its name stands for in ``identity.json``."""
    text = json.dumps(identity, indent=2, sort_keys=True) + "\n"
    folder = parent / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_atomically(folder / "identity.json", lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise RunFailedError(
            f"{folder}: cannot be written ({error.strerror or error}); make room, run again"
        ) from error
    return folder
