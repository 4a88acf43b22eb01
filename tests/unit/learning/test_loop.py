"""The whole loop on synthetic rewards: exact resume, failures, staleness, interruption."""

import threading

import pytest

from recache_ray.config.learning import LearningConfig
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.learning.checkpoint import CheckpointStore
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.learning.plan import TaskPlan
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.testing.fake_pool import FakePool, Killed
from recache_ray.testing.synthetic_rewards import SegmentReward
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt

STEPS, BUDGETS = 10, (2, 3, 5)
TRAIN = [GenerationRequest(Prompt(index, f"train {index}"), 0) for index in range(5)]
VALIDATION = [GenerationRequest(Prompt(index, f"check {index}", "validation"), 0) for index in range(2)]
SETTINGS = {"siblings": 3, "tasks_per_update": 2, "num_updates": 4, "polish_evaluations": 30, "policy_lag": 1}
REWARD = SegmentReward(STEPS)


class Recorder:
    run_id = "recorded"

    def __init__(self):
        self.rows = []

    def log_params(self, params): ...
    def log_artifact(self, path, folder=""): ...
    def close(self, status="FINISHED"): ...

    def log_metrics(self, metrics, step):
        self.rows.append((step, dict(metrics)))


def make_loop(pool, folder=None, *, kind="path", stop=None, tracker=None, on_progress=None, **changes):
    section = LearningConfig(**(SETTINGS | changes))
    plan = TaskPlan(
        TRAIN, MechanismSpec("taylor", 1), BUDGETS, section.siblings, section.tasks_per_update,
        policy_lag=section.policy_lag, budgets_per_task=section.budgets_per_task, seed=7,
    )  # fmt: skip
    store = CheckpointStore(folder, section.keep_checkpoints) if folder else None
    loop = TrainingLoop(
        Learner(BudgetPolicy(STEPS, BUDGETS, kind=kind, seed=7), section), plan, pool, VALIDATION, section,
        tracker=tracker, checkpoints=store, on_progress=on_progress, stop=stop,
    )  # fmt: skip
    if store and (checkpoint := store.load_newest(pytest.fail)):
        loop.resume(checkpoint)
    return loop


def finish(loop):
    outcome = loop.run()
    weights = b"".join(tensor.numpy().tobytes() for tensor in loop.learner.policy.state_dict().values())
    return weights, dict(outcome.table.schedules), outcome.table.metrics


@pytest.fixture(scope="module")
def undisturbed():
    pool = FakePool(REWARD)
    loop = make_loop(pool)
    return finish(loop), pool, loop


def test_a_run_killed_anywhere_and_resumed_ends_with_the_same_bits(tmp_path, undisturbed):
    expected, calm, _ = undisturbed
    calls = calm._calls
    for seed, kill_at in enumerate((1, 8, 13, calls // 2, calls - 1)):
        folder = tmp_path / str(kill_at)
        kill = [kill_at, kill_at + 4, None]  # twice, then allowed to end
        for attempt, at in enumerate(kill):
            pool = FakePool(REWARD, capacity=1 + (seed + attempt) % 4, order_seed=seed + attempt, kill_at=at)
            loop = make_loop(pool, folder)
            try:
                result = finish(loop)
            except Killed:
                continue
            assert result == expected
        assert finish(make_loop(FakePool(REWARD), folder)) == expected


def test_order_of_completion_and_number_of_workers_change_nothing(undisturbed):
    expected, _, _ = undisturbed
    assert finish(make_loop(FakePool(REWARD, capacity=7, order_seed=5))) == expected


def test_the_finished_run_resumes_to_its_end_without_a_single_evaluation(tmp_path, undisturbed):
    expected, _, _ = undisturbed
    finish(make_loop(FakePool(REWARD), tmp_path))
    pool = FakePool(REWARD)
    assert finish(make_loop(pool, tmp_path)) == expected
    assert pool.tasks == []


def test_polish_never_measures_a_pair_twice_and_stays_within_its_evaluations(undisturbed):
    _, pool, loop = undisturbed
    checked = [entry for entry in pool.evaluated if entry[0].startswith("check")]
    assert 0 < len(checked) == len(set(checked)) <= 30
    assert loop.memo.get(VALIDATION[0], loop.learner.policy.schedule(3)) is not None


def test_synchronous_learning_never_measures_a_pair_twice():
    pool = FakePool(REWARD)
    finish(make_loop(pool, policy_lag=0, num_updates=8))
    assert len(pool.evaluated) == len(set(pool.evaluated))


def test_every_task_is_used_in_exactly_one_update_also_in_arrival_order(tmp_path):
    used = []
    for attempt, kill_at in enumerate((6, 9, 14, None)):
        pool = FakePool(REWARD, order_seed=attempt, kill_at=kill_at)
        loop = make_loop(pool, tmp_path, order="arrival", num_updates=12, policy_lag=0)
        update = loop.learner.update
        loop.learner.update = lambda groups, update=update: used.extend(g.task_id for g in groups) or update(groups)
        try:
            loop.run()
        except Killed:
            continue
    assert sorted(used) == list(range(24))


def test_stale_groups_are_weighted_then_dropped_and_counted():
    tracker = Recorder()
    loop = make_loop(
        FakePool(REWARD, capacity=8, order_seed=1), order="arrival", num_updates=20, max_policy_lag=1, policy_lag=0,
        tracker=tracker, polish_evaluations=0,
    )  # fmt: skip
    loop.run()
    rows = [row for _, row in tracker.rows]
    assert any(row.get("policy/lag", 0) > 0 and row["policy/ess"] < 1 for row in rows)
    assert loop.learner.version == 20
    assert sum(row["policy/dropped_groups"] for row in rows) == loop.learner.dropped


def test_metrics_are_logged_by_version_and_progress_is_told():
    tracker, told = Recorder(), []
    loop = make_loop(FakePool(REWARD), tracker=tracker, on_progress=told.append)
    loop.run()
    steps = [step for step, _ in tracker.rows]
    assert steps == sorted(steps) and steps[:4] == [1, 2, 3, 4]
    first = tracker.rows[0][1]
    rewards = {"reward/mean", "reward/lpips/mean", "reward/budget_3"}
    policy = {"policy/entropy", "policy/lag", "policy/ess", "policy/gradient_norm"}
    rollout = {"rollout/forwards_saved", "rollout/evaluations", "rollout/memo_hits"}
    assert rewards | policy | rollout <= set(first)
    assert 0 < first["policy/entropy"] <= 1 and 0 < first["rollout/forwards_saved"] < 1
    assert [line.phase for line in told][:4] == ["learn"] * 4 and told[-1].phase == "polish"
    assert told[-1].done <= told[-1].total == 30


def test_failed_tasks_are_skipped_counted_and_deterministic():
    failing = {1, 4}
    runs = [make_loop(FakePool(REWARD, capacity=c, order_seed=c, failing=failing)) for c in (1, 5)]
    results = [finish(loop) for loop in runs]
    assert results[0] == results[1]
    assert runs[0].failures.failed == 2


def test_too_many_failures_end_the_run_with_their_reasons():
    with pytest.raises(RunFailedError, match=r"failed.*max_failure_share = 0.2.*fake failure") as caught:
        make_loop(FakePool(REWARD, failing=range(100))).run()
    assert "\n" not in str(caught.value)


def test_one_bad_schedule_does_not_take_its_neighbours_down():
    first_polish_task = SETTINGS["tasks_per_update"] * SETTINGS["num_updates"]
    pool = FakePool(REWARD, failing={first_polish_task})
    loop = make_loop(pool)
    assert set(finish(loop)[1]) == set(BUDGETS)
    alone = [task for task in pool.tasks if len(task.schedules) == 1]
    assert len(alone) >= len(pool.tasks[first_polish_task].schedules)


def test_stop_writes_a_checkpoint_and_the_run_goes_on_from_there(tmp_path, undisturbed):
    expected, _, _ = undisturbed
    stop = threading.Event()
    loop = make_loop(FakePool(REWARD), tmp_path, stop=stop, on_progress=lambda line: line.done == 2 and stop.set())
    outcome = loop.run()
    assert outcome.interrupted and outcome.updates == 2
    assert finish(make_loop(FakePool(REWARD), tmp_path)) == expected


def test_a_checkpoint_of_another_policy_is_refused_by_name(tmp_path):
    finish(make_loop(FakePool(REWARD), tmp_path))
    with pytest.raises(BadInputError, match=r"policy.kind"):
        make_loop(FakePool(REWARD), tmp_path, kind="conditional_bernoulli")


@pytest.mark.parametrize("kind", ["path", "conditional_bernoulli", "plackett_luce"])
def test_learning_beats_where_it_started_for_every_kind_of_policy(kind):
    start = BudgetPolicy(STEPS, BUDGETS, kind=kind, seed=7)
    loop = make_loop(FakePool(REWARD), kind=kind, num_updates=30, policy_lag=0, polish_evaluations=0, siblings=6)
    table = loop.run().table
    for budget in BUDGETS[1:]:
        assert REWARD.cost(table[budget]) < REWARD.cost(start.schedule(budget))
