"""The verb ``transfer``: a run's schedules at other numbers of steps, beside schedules trained there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recache_ray.baselines.registry import baseline_schedules
from recache_ray.build.budgets import evaluation_budgets
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.build.plain_text import plain
from recache_ray.build.pool import open_pool
from recache_ray.build.probe import probe_model, step_cost
from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.references import fill_references
from recache_ray.build.requests import evaluation_requests, prompt_set
from recache_ray.build.run_folder import saved_config
from recache_ray.build.trained_run import load_trained
from recache_ray.config.compare import differing_settings
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.evaluation.measure import measure
from recache_ray.evaluation.transfer import CARRIED, TRAINED, Transfer, compare_transfer, write_transfer
from recache_ray.evaluation.transfer_view import plot_transfer, transfer_table, transfer_verdict
from recache_ray.run_lock import run_lock
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.types import GenerationRequest

_UNIFORM = ("uniform", "uniform_warm", "uniform_ends")
_MUST_AGREE = ("model.", "mechanism.", "reward.")
_OF_THE_PLACE = ("num_steps", "device")


@dataclass(frozen=True)
class TrainedThere:
    """A run trained at T': its folder, settings and schedules."""

    folder: Path
    config: Config
    table: ScheduleTable


def transfer(config: Config, on_progress: OnProgress) -> str:
    """Write ``transfer.csv``, ``.parquet`` and ``.png`` into ``run.dir/evaluation`` and return the comparison as text.

    At every T' the held-out prompts of the run are measured against references of T', kept in the folder that the run
    trained there uses, or in ``references.dir`` with ``_t<T'>`` behind it.

    Raises:
        BadInputError: if a T' or a run to compare with does not fit, before anything runs.
        RunFailedError: if too many generations fail or a file cannot be written.
    """
    table, _ = load_trained(config)
    requests = evaluation_requests(config)
    carried = carried_tables(config, table)
    there = trained_there(config, table, requests)
    if len(requests) < 2:
        raise BadInputError(
            f"{config.evaluation.split} prompts: {len(requests)}, must be at least 2 for an interval; "
            f"raise prompts.num_{config.evaluation.split}"
        )
    folder = Path(config.run.dir) / "evaluation"
    with run_lock(config.run.dir, on_status=on_progress):
        found = [
            _measured(config, table.num_steps, carried[num_steps], there.get(num_steps), requests, on_progress)
            for num_steps in carried
        ]
        files = [*write_transfer(found, folder), plot_transfer(found, folder / "transfer.png")]
    wrote = "\n".join(f"wrote {file}" for file in files)
    return f"{plain(transfer_table(found))}\n{transfer_verdict(found)}\n\n{wrote}"


def carried_tables(config: Config, table: ScheduleTable) -> dict[int, ScheduleTable]:
    """T' to the run's schedules there, at the budgets of ``evaluation.budgets`` that fit.

    Raises:
        BadInputError: if no T' is given, one is the run's own or too small, or the run lacks a budget.
    """
    asked, section = evaluation_budgets(config), config.transfer
    wanted = ScheduleTable(table.num_steps, {k: table[k] for k in asked}, table.model, table.mechanism)
    if not section.num_steps:
        raise BadInputError("transfer.num_steps: must be given; add for example transfer.num_steps=[20,28]")
    for num_steps in section.num_steps:
        if num_steps == table.num_steps:
            raise BadInputError(
                f"transfer.num_steps = {num_steps}: is where the run was trained; name other numbers of steps"
            )
        if not asked[0] <= num_steps <= 1000:
            raise BadInputError(
                f"transfer.num_steps = {num_steps}: must be between {asked[0]}, the smallest budget, and 1000"
            )
    return {num_steps: wanted.resampled(num_steps) for num_steps in dict.fromkeys(section.num_steps)}


def trained_there(
    config: Config, table: ScheduleTable, requests: Sequence[GenerationRequest]
) -> dict[int, TrainedThere]:
    """T' to the run of ``transfer.against`` that was trained there.

    Raises:
        BadInputError: if such a run is not finished, is of a T that is not asked for or of another model, mechanism or
            reward, or saw a prompt it is to be compared on.
    """
    found: dict[int, TrainedThere] = {}
    for name in config.transfer.against:
        run = _trained(Path(name))
        setting, num_steps = f"transfer.against = {name}", run.table.num_steps
        if num_steps not in config.transfer.num_steps:
            raise BadInputError(
                f"{setting}: was trained at {num_steps} steps, which transfer.num_steps = "
                f"{list(config.transfer.num_steps)} lacks; add {num_steps} there"
            )
        if num_steps in found:
            raise BadInputError(f"{setting}: is a second run of {num_steps} steps, after {found[num_steps].folder}")
        _check_comparable(setting, config, table, run)
        prompts = prompt_set(run.config)
        seen = {prompt.text for prompt in (*prompts.train, *prompts.validation)}
        leaked = [request.prompt.text for request in requests if request.prompt.text in seen]
        if leaked:
            raise BadInputError(
                f"{setting}: learned from or chose by {len(leaked)} of the {len(requests)} prompts of this comparison, "
                f"such as {leaked[0]!r}; lower prompts.num_{config.evaluation.split}, or train it on the same splits"
            )
        found[num_steps] = run
    return found


def _trained(folder: Path) -> TrainedThere:
    for name in ("config.json", "schedules.json"):
        if not (folder / name).exists():
            raise BadInputError(
                f"transfer.against = {folder}: has no {name}; name a finished run, or finish it: "
                f"recache train run.dir={folder}"
            )
    return TrainedThere(folder, saved_config(folder / "config.json"), ScheduleTable.load(folder / "schedules.json"))


def _check_comparable(setting: str, config: Config, table: ScheduleTable, run: TrainedThere) -> None:
    differing = [
        f"{path} = {there!r} (this run has {here!r})"
        for path, (here, there) in differing_settings(to_mapping(config), to_mapping(run.config)).items()
        if path.startswith(_MUST_AGREE) and path.split(".")[1] not in _OF_THE_PLACE
    ]
    differing += [
        f"{name} of the model = {run.table.model.get(name)!r} (this run has {value!r})"
        for name, value in table.model.items()
        if name not in _OF_THE_PLACE and run.table.model.get(name) != value
    ]
    if differing:
        raise BadInputError(f"{setting}: {differing[0]}; name a run that differs in its number of steps only")


def _measured(
    config: Config,
    from_num_steps: int,
    carried: ScheduleTable,
    run: TrainedThere | None,
    requests: Sequence[GenerationRequest],
    on_progress: OnProgress,
) -> Transfer:
    num_steps = carried.num_steps
    store = run.config.references.dir if run else f"{config.references.dir}_t{num_steps}"
    there = replace(
        config,
        model=replace(config.model, num_steps=num_steps),
        references=replace(config.references, dir=store),
    )
    methods = transfer_methods(carried, run.table if run else None)
    mechanism, clocks = mechanism_spec(config), dict[str, PhaseClock]()

    def progress(phase: str, done: int, total: int) -> None:
        on_progress(clocks.setdefault(phase, PhaseClock("evaluate", total)).at(done))

    with open_pool(there, on_progress) as pool:
        fill_references(pool, requests, config.references.requests_per_task, on_progress)
        report = probe_model(pool, mechanism, requests[0])
        measured = measure(pool, methods, requests, mechanism, on_progress=progress)
    return compare_transfer(
        measured,
        methods,
        mechanism,
        step_cost(report),
        from_num_steps=from_num_steps,
        bootstrap_samples=config.evaluation.bootstrap_samples,
        seed=config.run.seed,
    )


def transfer_methods(
    carried: ScheduleTable, trained: ScheduleTable | None
) -> dict[str, Mapping[int, tuple[Schedule, ...]]]:
    """Name to budget to its schedule: carried, trained there where both have the budget, and uniform variants."""
    budgets = carried.budgets
    methods: dict[str, Mapping[int, tuple[Schedule, ...]]] = {CARRIED: {k: (carried[k],) for k in budgets}}
    if trained is not None:
        methods[TRAINED] = {k: (trained[k],) for k in budgets if k in trained}
    for name in _UNIFORM:
        methods[name] = {k: baseline_schedules(name, carried.num_steps, k) for k in budgets}
    return methods
