"""What learning itself costs, apart from the rewards."""

from __future__ import annotations

import time

import torch

from recache_ray.learning.black_box import learn_schedules
from recache_ray.schedules import Schedule
from recache_ray.testing.synthetic_rewards import SegmentReward
from recache_ray.types import GenerationRequest, Prompt


def test_two_thousand_evaluations_take_under_a_minute_of_one_core() -> None:
    reward, threads = SegmentReward(16, seed=1), torch.get_num_threads()

    def reward_fn(prompt: int, schedule: Schedule) -> float:
        return -reward(GenerationRequest(Prompt(prompt, ""), 0), schedule).metrics["lpips"]

    torch.set_num_threads(1)
    try:
        started_s = time.process_time()
        learn_schedules(reward_fn, 16, "2..8", num_prompts=4, max_evaluations=2000)
        assert time.process_time() - started_s < 60.0
    finally:
        torch.set_num_threads(threads)
