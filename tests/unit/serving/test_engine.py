"""The engine on a tiny FLUX: batches of any budgets, and one bad picture among good ones."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from torch import Tensor

from recache_ray.caching.mechanism import FeatureHistory
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.diffusion.adapter import NonFiniteGenerationError
from recache_ray.errors import BadInputError
from recache_ray.metrics.perceptual import LpipsMetric
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.serving.compared import budget_text, measured_text, strip_html
from recache_ray.serving.comparison import Comparer
from recache_ray.serving.drawn_picture import DrawnPicture
from recache_ray.serving.engine import PictureEngine
from recache_ray.serving.request import PictureRequest
from recache_ray.testing.tiny.adapters import tiny_model
from recache_ray.testing.tiny_flux import tiny_adapter

T = 6
PLANS = (Schedule(T, (0, 3)), Schedule(T, (0, 1, 4)), Schedule.full(T), Schedule(T, (0,)))


def requests() -> list[PictureRequest]:
    prompts = ("a red star", "a blue square", "a red star", "a green circle")
    return [PictureRequest(prompt, seed, plan) for seed, (prompt, plan) in enumerate(zip(prompts, PLANS, strict=True))]


@pytest.fixture(scope="module")
def engine() -> PictureEngine:
    return PictureEngine(tiny_adapter(num_steps=T), TaylorSeer(1))


def drawn(engine: PictureEngine, asked: list[PictureRequest]) -> list[DrawnPicture]:
    made = engine.draw(asked)
    assert all(isinstance(each, DrawnPicture) for each in made)
    return [each for each in made if isinstance(each, DrawnPicture)]


def test_a_batch_of_any_budgets_counts_the_steps_of_each(engine: PictureEngine) -> None:
    together = drawn(engine, requests())
    assert [each.computed_steps for each in together] == [plan.budget for plan in PLANS]
    assert {each.batch for each in together} == {4}
    for request, each in zip(requests(), together, strict=True):
        alone = drawn(engine, [request])[0]
        assert alone.computed_steps == request.schedule.budget and alone.batch == 1
        assert np.abs(each.image.astype(int) - alone.image.astype(int)).max() <= 2
    assert engine.draw([]) == []


def test_calls_from_several_threads_take_turns(engine: PictureEngine) -> None:
    expected = [drawn(engine, [request])[0].image for request in requests()]
    made: dict[int, np.ndarray] = {}

    def run(index: int) -> None:
        made[index] = drawn(engine, [requests()[index]])[0].image

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(made[index], expected[index]) for index in range(4))


def test_one_picture_that_fails_leaves_the_others() -> None:
    class NanForecast(TaylorSeer):
        def predict(self, history: FeatureHistory, step: int) -> Tensor:
            return super().predict(history, step) * float("nan")

    made = PictureEngine(tiny_adapter(num_steps=T), NanForecast(1)).draw(requests()[1:3])
    assert isinstance(made[0], NonFiniteGenerationError) and isinstance(made[1], DrawnPicture)
    assert made[1].computed_steps == T


def test_prompts_that_the_pipeline_does_not_pad_are_drawn_by_length() -> None:
    engine = PictureEngine(tiny_model("qwen_image"), TaylorSeer(1))
    asked = [PictureRequest(prompt, 0, PLANS[0]) for prompt in ("a star", "a large red star on the left", "a moon")]
    made = drawn(engine, asked)
    assert [each.computed_steps for each in made] == [2] * 3 and min(each.batch for each in made) == 1


def test_videos_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"model\.frames = 5: makes videos"):
        PictureEngine(tiny_model("wan"), TaylorSeer(1))


def test_a_comparison_measures_what_it_shows() -> None:
    engine = PictureEngine(tiny_model("flux", height=32, width=32), TaylorSeer(1))  # LPIPS needs 32 pixels
    comparer = Comparer(engine, LpipsMetric())
    same = comparer.compare("a red star", 0, Schedule.full(T))
    assert same.lpips == 0 and same.psnr_db == 100
    assert len(np.unique(np.asarray(same.error).reshape(-1, 3), axis=0)) == 1
    cached = comparer.compare("a red star", 0, PLANS[0])
    assert cached.lpips > 0 and cached.computed_steps == 2 and cached.seconds > 0
    assert cached.reference_seconds == same.reference_seconds  # drawn once
    assert np.array_equal(np.asarray(cached.reference), np.asarray(same.result))
    assert measured_text(cached).startswith("2 of 6 steps computed")
    html = strip_html(PLANS[0])
    assert html.count(": computed") == 2 and html.count(": cached") == 4


def test_budgets_are_shown_in_every_unit_that_was_measured() -> None:
    table = ScheduleTable(10, {2: Schedule(10, (0, 5))})
    assert budget_text(table, 2) == "2 of 10 steps · 5.00 times fewer"
    cost = {"computed_flops": 10.0, "cached_flops": 1.0, "computed_s": 0.01, "cached_s": 0.001}
    measured = ScheduleTable(10, {2: Schedule(10, (0, 5))}, cost=cost)
    assert budget_text(measured, 2) == "2 of 10 steps · 3.57 times fewer FLOPs · 28 ms where it was trained"
