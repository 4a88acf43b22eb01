"""Simulated actors answer what was asked, when it is due, and die when their life is over."""

from __future__ import annotations

import math
import subprocess
import sys
import time

from recache_ray.distributed.simulated.worker import SimulatedLife, simulated_group
from recache_ray.evaluation.scale.load import SimulatedLoad
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, Prompt, RewardBreakdown, RolloutTask

LOAD = SimulatedLoad(mean_s=4.0, cv=0.25)


def task(**changes: object) -> RolloutTask:
    request = GenerationRequest(Prompt(3, "a small red star"), 5)
    return RolloutTask(
        **{"task_id": 9, "request": request, "mechanism": MechanismSpec("reuse"), "budgets": (2, 2, 5)} | changes  # type: ignore[arg-type]
    )


def test_a_group_answers_its_task_and_is_the_same_again() -> None:
    group = simulated_group(task(policy_version=4, sampling_seed=1), 12, 3.5, "rollout-1")
    assert [rollout.schedule.budget for rollout in group.rollouts] == [2, 2, 5]
    assert {rollout.schedule.num_steps for rollout in group.rollouts} == {12}
    assert (group.task_id, group.policy_version, group.seconds, group.worker) == (9, 4, 3.5, "rollout-1")
    assert group.rollouts[2].log_prob == -math.log(math.comb(11, 4))
    assert group.forwards_requested == 9 and 5 <= group.forwards_executed <= 8
    assert group == simulated_group(task(policy_version=4, sampling_seed=1), 12, 3.5, "rollout-1")
    assert group != simulated_group(task(policy_version=4, sampling_seed=2), 12, 3.5, "rollout-1")


def test_known_rewards_are_taken_and_even_spacing_is_best() -> None:
    one = simulated_group(task(budgets=(2,)), 12, 1.0, "").rollouts[0]
    assert not one.memoised
    known = {one.schedule: RewardBreakdown(-7.0)}
    again = simulated_group(task(budgets=(2,), known=known), 12, 1.0, "").rollouts[0]
    assert again.memoised and again.breakdown.reward == -7.0
    drawn = [simulated_group(task(budgets=(2,), sampling_seed=s), 12, 1.0, "").rollouts[0] for s in range(200)]
    best = max(drawn, key=lambda rollout: rollout.breakdown.reward)
    assert best.schedule == Schedule(12, (0, 6))


def test_an_answer_is_due_after_its_duration_unless_the_life_ends_before() -> None:
    group, due = SimulatedLife(LOAD, "rollout-0", 0, 12).begin(task())
    assert group is not None and group.seconds == LOAD.duration_s(9)
    assert abs(due - time.monotonic() - LOAD.duration_s(9)) < 1.0
    short = SimulatedLoad(4.0, 0.25, preemptions_per_hour=36000.0)
    group, due = SimulatedLife(short, "rollout-0", 0, 12).begin(task())
    assert group is None and due - time.monotonic() < LOAD.duration_s(9)


def test_its_processes_stay_small() -> None:
    code = "import sys, recache_ray.distributed.simulated.worker; print('torch' in sys.modules, 'ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
