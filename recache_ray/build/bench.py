"""The verb ``bench rollout``: what sharing prefixes is worth on this machine."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from recache_ray.build.model_check import check_model
from recache_ray.build.progress import OnProgress
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.build.trained_run import load_policy
from recache_ray.build.training_job import make_plan, make_policy
from recache_ray.build.worker import make_worker
from recache_ray.config.root import Config
from recache_ray.evaluation.bench_rollout import bench_rollout as measure_rollouts
from recache_ray.learning.memo import RewardMemo
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.tracking.provenance import provenance

# design targets: rewards per second over one call per schedule, and the share of forwards that run
_SPEED_UP = 2.5
_EXECUTED_SHARE = 0.6
_PROMPTS = 4


def bench_rollout(config: Config, on_progress: OnProgress) -> tuple[str, bool]:
    """Measure training tasks in this process; text, and whether the targets were met.

    The policy is that of the run in ``run.dir`` where it fits, else an untrained one, which shares least: the target
    for forwards holds over a training, so it is not asked of the latter. The figures also go to
    ``run.dir/bench_rollout.json``.

    Raises:
        BadInputError, RunFailedError: if the model or the reference store cannot be used.
    """
    check_model(config)
    plan = make_plan(config, requests_of(prompt_set(config).train))
    memo = RewardMemo(plan.mechanism)
    tasks = [plan.task(number, 0, memo) for number in range(min(_PROMPTS, len(plan.requests)))]
    worker = make_worker(config, "bench")
    policy = make_policy(config)
    trained = _trained(config, policy)
    result = measure_rollouts(
        worker, tasks, (trained or policy).snapshot(0), provenance(config.run.seed), on_status=on_progress
    )
    passed = result.speed_up >= _SPEED_UP and (trained is None or result.executed_share <= _EXECUTED_SHARE)
    output = Path(config.run.dir) / "bench_rollout.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
    buffer = io.StringIO()
    Console(file=buffer, width=100).print(result.table())
    share = f"at most {_EXECUTED_SHARE}" if trained else f"{_EXECUTED_SHARE} is asked of a trained policy"
    targets = (
        f"{'trained' if trained else 'untrained'} policy: speed-up {result.speed_up:.2f} (at least {_SPEED_UP}), "
        f"forwards executed / requested {result.executed_share:.3f} ({share}): {'met' if passed else 'MISSED'}"
    )
    return f"{buffer.getvalue().rstrip()}\n{targets}\nwrote {output}", passed


def _trained(config: Config, untrained: BudgetPolicy) -> BudgetPolicy | None:
    """The policy of ``run.dir`` if it was trained for the same schedules."""
    folder = Path(config.run.dir) / "policy"
    if not folder.is_dir():
        return None
    policy = load_policy(folder)
    return policy if policy.snapshot(0).config == untrained.snapshot(0).config else None
