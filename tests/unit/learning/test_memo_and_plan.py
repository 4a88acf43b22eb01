"""What a task is, is a function of its number and of the memo as of its policy version."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.errors import BadInputError
from recache_ray.learning.memo import RewardMemo
from recache_ray.learning.plan import TaskPlan
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RewardBreakdown, Rollout, RolloutGroup

SPEC = MechanismSpec("taylor", 1)
REQUESTS = [GenerationRequest(Prompt(index, f"prompt {index}"), noise_seed=index % 2) for index in range(5)]


def _group(request, *rewards):
    rollouts = tuple(
        Rollout(Schedule(6, (0, step)), 0.0, RewardBreakdown(reward, {"lpips": reward / 3})) for step, reward in rewards
    )
    return RolloutGroup(0, request, 0, rollouts, 4, 3, 0.0)


def _plan(**changes):
    settings = {"siblings": 2, "tasks_per_update": 2, "policy_lag": 1, "seed": 3} | changes
    return TaskPlan(REQUESTS, SPEC, (2, 3, 4, 5), **settings)


def test_memo_answers_as_of_a_version_and_keeps_the_first_record():
    memo = RewardMemo(SPEC)
    assert memo.record(_group(REQUESTS[0], (1, 0.1), (2, 0.2)), version=1) == 2
    assert memo.record(_group(REQUESTS[0], (2, 9.9), (3, 0.3)), version=2) == 1
    assert memo.known(REQUESTS[0], 0) == {}
    assert [b.reward for b in memo.known(REQUESTS[0], 1).values()] == [0.1, 0.2]
    assert [b.reward for b in memo.known(REQUESTS[0]).values()] == [0.1, 0.2, 0.3]
    assert memo.get(REQUESTS[1], Schedule(6, (0, 1))) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5), st.floats(-1e6, 1e6)), max_size=12))
def test_memo_round_trip_is_bit_exact_in_order(entries):
    memo, copy = RewardMemo(SPEC), RewardMemo(SPEC)
    for version, (request, step, reward) in enumerate(entries):
        memo.record(_group(REQUESTS[request], (step, reward)), version)
    copy.load_state(*memo.state())
    for version in (*range(len(entries)), None):
        for request in REQUESTS:
            assert list(copy.known(request, version).items()) == list(memo.known(request, version).items())


def test_columns_follow_metrics_that_come_and_go():
    memo, copy = RewardMemo(SPEC), RewardMemo(SPEC)
    for version, metrics in enumerate(({}, {"lpips": 0.5}, {"quality": 0.25, "lpips": 0.75}, {"quality": 1.0})):
        rollout = Rollout(Schedule(6, (0, version + 1)), 0.0, RewardBreakdown(-float(version), metrics))
        memo.record(RolloutGroup(0, REQUESTS[0], 0, (rollout,), 1, 1, 0.0), version)
        state = memo.state()
        copy.load_state(*state)
        assert copy.known(REQUESTS[0]) == memo.known(REQUESTS[0])
        assert len(state[0]["reward_E"]) == len(copy) == version + 1
    assert state[1]["metrics"] == ["lpips", "quality"]


def test_a_state_stays_as_it_was_while_the_memo_grows():
    memo, copy = RewardMemo(SPEC), RewardMemo(SPEC)
    memo.record(_group(REQUESTS[0], (1, 0.1)), version=1)
    state = memo.state()
    memo.record(_group(REQUESTS[1], (2, 0.2)), version=2)
    copy.load_state(*state)
    assert len(copy) == 1 and copy.get(REQUESTS[1], Schedule(6, (0, 2))) is None


def test_epochs_visit_every_request_and_no_update_repeats_one():
    plan = _plan()
    per_epoch = [plan.request(task) for task in range(4)]
    assert len(set(per_epoch)) == 4
    visits = Counter(plan.request(task).prompt.index for task in range(400))
    assert min(visits.values()) > 50
    for update in range(50):
        assert plan.request(2 * update) != plan.request(2 * update + 1)


def test_tasks_are_pure_functions_of_their_number():
    memo = RewardMemo(SPEC)
    for task_id in range(20):
        task = _plan().task(task_id, _plan().policy_version(task_id), memo)
        assert task == _plan().task(task_id, _plan().policy_version(task_id), memo)
        assert task.policy_version == max(0, task_id // 2 - 1)
        assert task.budgets == (2, 2, 3, 3, 4, 4, 5, 5)
    seeds = {_plan().task(task_id, 0, memo).sampling_seed for task_id in range(100)}
    assert len(seeds) == 100


def test_budgets_per_task_take_turns_and_cover_all():
    plan = _plan(budgets_per_task=2)
    assert [plan.task_budgets(task) for task in range(3)] == [(2, 2, 4, 4), (3, 3, 5, 5), (2, 2, 4, 4)]


def test_known_rewards_are_those_of_the_task_s_policy_version():
    memo, plan = RewardMemo(SPEC), _plan()
    request = plan.request(4)
    memo.record(_group(request, (1, 0.1)), version=1)
    memo.record(_group(request, (2, 0.2)), version=2)
    assert len(plan.task(4, 1, memo).known) == 1


def test_more_tasks_per_update_than_requests_is_refused():
    with pytest.raises(BadInputError, match=r"tasks_per_update = 6.*at most.*5"):
        _plan(tasks_per_update=6)
