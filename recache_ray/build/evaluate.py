"""The verb ``evaluate``: compare a trained run's schedules with the baselines on held-out prompts."""

from __future__ import annotations

from contextlib import ExitStack

from recache_ray.build.evaluation import check_evaluation, run_evaluation
from recache_ray.build.gates import gate_requests
from recache_ray.build.model_check import check_model
from recache_ray.build.pool import open_pool
from recache_ray.build.progress import OnProgress
from recache_ray.build.references import fill_references
from recache_ray.build.requests import evaluation_requests
from recache_ray.build.summary import comparison, costs_text
from recache_ray.build.trackers import reopen_tracker
from recache_ray.build.trained_run import load_trained
from recache_ray.config.root import Config
from recache_ray.evaluation.evaluate import Evaluation, log_evaluation
from recache_ray.run_lock import run_lock
from recache_ray.tracking.provenance import provenance


def evaluate(config: Config, on_progress: OnProgress) -> str:
    """Write ``run.dir/evaluation``, log it as the run's evaluation and return the comparison as text.

    Raises:
        BadInputError, RunFailedError: as :func:`run_evaluation`.
    """
    check_evaluation(config)
    check_model(config)
    table, policy = load_trained(config)
    requests = evaluation_requests(config)
    with ExitStack() as stack:
        stack.enter_context(run_lock(config.run.dir, on_status=on_progress))
        opened = reopen_tracker(config, provenance(config.run.seed))
        stack.callback(opened.tracker.close)
        opened.confirm()
        pool = stack.enter_context(open_pool(config, on_progress))
        needed = (*requests, *gate_requests(config))
        fill_references(pool, needed, config.references.requests_per_task, on_progress)
        evaluation = run_evaluation(config, pool, table, policy, on_progress)
        log_evaluation(opened.tracker, evaluation)
    files = "\n".join(f"wrote {file}" for file in evaluation.files)
    compared = comparison(evaluation.rows, evaluation.remarks)
    return f"{compared}\n{_forwards(evaluation)}\n\n{costs_text(evaluation.costs)}\n\n{files}"


def _forwards(evaluation: Evaluation) -> str:
    if not evaluation.forwards_requested:
        return "every given schedule was measured before; nothing but adaptive methods ran"
    return f"forwards executed / requested {evaluation.forwards_executed / evaluation.forwards_requested:.3f}"
