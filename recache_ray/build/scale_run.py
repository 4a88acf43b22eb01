"""One measurement of ``bench scale``: the real loop, learner and pool, with actors that sleep."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event

from recache_ray.build.progress import OnProgress
from recache_ray.config.learning import LearningConfig
from recache_ray.config.root import Config
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.errors import BadInputError
from recache_ray.evaluation.scale.figures import ScalePoint, scale_point
from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.evaluation.scale.watched_pool import WatchedPool
from recache_ray.learning.checkpoint import CheckpointStore
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.learning.plan import TaskPlan
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import parse_budgets
from recache_ray.tracking.jsonl import JsonlTracker
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt

_MORE_UPDATES = 3  # than fit into the time, so that the measurement never ends by itself


def simulated_load(config: Config) -> SimulatedLoad:
    """What the simulated actors do.

    Raises:
        BadInputError: if the measurement is too short for the tasks, or the longest tasks never end.
    """
    section = config.scale
    if section.seconds < 5 * section.mean_s:
        raise BadInputError(
            f"scale.seconds = {section.seconds:g}: must be at least 5 times scale.mean_s = {section.mean_s:g}"
        )
    load = SimulatedLoad(
        section.mean_s, section.cv, section.preemptions_per_hour, section.reload_s, seed=config.run.seed
    )
    if math.isinf(load.ideal_task_s):
        raise BadInputError(
            f"scale.preemptions_per_hour = {section.preemptions_per_hour:g}: no actor lives as long as the longest "
            f"tasks of scale.mean_s = {section.mean_s:g} and scale.cv = {section.cv:g}; lower one of them"
        )
    return load


def run_scale(config: Config, actors: int, shared: bool, load: SimulatedLoad, on_progress: OnProgress) -> ScalePoint:
    """Train against ``actors`` simulated ones for ``scale.warmup_s + scale.seconds``.

    Args:
        shared: whether one process plays all of them.
    """
    from recache_ray.distributed.ray_pool import RayPool
    from recache_ray.distributed.simulated.actors import SharedProcess, SimulatedProcesses
    from recache_ray.distributed.simulated.message_size import message_bytes

    section, learning = config.scale, _learning(config, actors)
    runtime = RuntimeConfig(address=config.runtime.address, num_workers=actors, min_workers=actors, cpus_per_worker=0.0)
    policy = BudgetPolicy(section.steps, list(parse_budgets(section.budgets, section.steps)))
    requests = [GenerationRequest(Prompt(n, f"simulated prompt number {n}"), n) for n in range(section.prompts)]
    plan = TaskPlan(
        requests=requests,
        mechanism=MechanismSpec(config.mechanism.kind, config.mechanism.order, config.mechanism.cut),
        budgets=policy.budgets,
        siblings=learning.siblings,
        tasks_per_update=learning.tasks_per_update,
        policy_lag=learning.policy_lag if learning.order == "deterministic" else 0,
        budgets_per_task=section.budgets_per_task,
        seed=config.run.seed,
    )
    folder = Path(config.run.dir) / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    learner, stop = Learner(policy, learning), Event()
    lost = 0

    def watch(line: str) -> None:
        nonlocal lost
        lost += line.startswith("lost ")
        if not line.startswith("lost "):
            on_progress(line)

    source = SharedProcess(load, section.steps, actors) if shared else SimulatedProcesses(load, section.steps, runtime)
    pool = WatchedPool(
        RayPool(source, runtime, watch),
        section.warmup_s,
        section.seconds,
        stop,
        lambda: learner.version,
    )
    loop = TrainingLoop(
        learner,
        plan,
        pool,
        requests[:1],
        learning,
        tracker=JsonlTracker(folder / "metrics.jsonl"),
        checkpoints=CheckpointStore(folder / "checkpoints", learning.keep_checkpoints),
        stop=stop,
    )
    try:
        loop.run()
        sent = [message_bytes(task) + message_bytes(snapshot) for task, snapshot in pool.sent]
        received = [message_bytes(group) for group in pool.received]
    finally:
        pool.close()
        late_s = source.close()
        shutil.rmtree(folder, ignore_errors=True)
    return scale_point(
        actors,
        shared,
        load,
        pool.window,
        sent_bytes=sent,
        received_bytes=received,
        dropped=learner.dropped,
        lost=lost,
        updates=learner.version,
        late_s=late_s,
    )


def _learning(config: Config, actors: int) -> LearningConfig:
    """The configured learning with the benchmark's own order of updates, and without local search."""
    section = config.scale
    size = section.tasks_per_update or max(1, actors // 2)
    groups = actors * (section.warmup_s + section.seconds) / section.mean_s
    return replace(
        config.learning,
        order=section.order,
        policy_lag=section.policy_lag,
        tasks_per_update=size,
        num_updates=_MORE_UPDATES * math.ceil(groups / size) + 100,
        polish_evaluations=0,
    )
