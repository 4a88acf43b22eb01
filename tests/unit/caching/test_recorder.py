"""The recorder against the interceptor, which sees the same residuals when it caches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from flux_runs import NUM_STEPS, latents, schedule
from torch import Tensor

from recache_ray.caching.intercept import ScheduleInterceptor
from recache_ray.caching.mechanism import CachingMechanism, FeatureHistory
from recache_ray.caching.newton import Newton
from recache_ray.caching.recorder import ResidualRecorder
from recache_ray.caching.residual_errors import forecast_errors, magnitude_ratios, reuse_errors
from recache_ray.caching.reuse import Reuse
from recache_ray.caching.taylor import TaylorSeer
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.testing.tiny_flux import tiny_flux_pipeline


class Spy:
    """Another mechanism, with what goes through it kept."""

    def __init__(self, inner: CachingMechanism) -> None:
        self.inner, self.id = inner, inner.id
        self.computed: dict[int, Tensor] = {}
        self.forecast: dict[int, Tensor] = {}

    def reset(self) -> FeatureHistory:
        return self.inner.reset()

    def update(self, history: FeatureHistory, step: int, feature: Tensor) -> FeatureHistory:
        self.computed[step] = feature.clone()
        return self.inner.update(history, step, feature)

    def predict(self, history: FeatureHistory, step: int) -> Tensor:
        self.forecast[step] = self.inner.predict(history, step).clone()
        return self.forecast[step]


@pytest.fixture(scope="module")
def residuals(pipe: Any, embeds: dict[str, Tensor]) -> tuple[Tensor, ...]:
    with ResidualRecorder(pipe.transformer) as recorder:
        latents(pipe, embeds)
    return recorder.residuals(NUM_STEPS)


def test_recording_changes_no_bit_and_leaves_nothing(pipe: Any, embeds: dict[str, Tensor]) -> None:
    untouched = latents(pipe, embeds)
    with ResidualRecorder(pipe.transformer):
        assert torch.equal(latents(pipe, embeds), untouched)
    assert not any("forward" in vars(module) for module in pipe.transformer.modules())


@pytest.mark.parametrize("mechanism", [Reuse(), TaylorSeer(1), TaylorSeer(2), Newton(2)], ids=lambda each: each.id)
def test_errors_are_those_of_the_forecasts_a_rollout_makes(
    pipe: Any, embeds: dict[str, Tensor], residuals: tuple[Tensor, ...], mechanism: CachingMechanism
) -> None:
    """Up to its first cached step a rollout is the uncached generation, so residuals and forecasts are the same."""
    errors = forecast_errors(residuals, mechanism)
    for computed, place in (((0,), (0, 0, 1)), ((0, 1), (0, 1, 2))):
        spy = Spy(mechanism)
        with ScheduleInterceptor(pipe.transformer, [schedule(*computed)], spy):
            latents(pipe, embeds)
        for step in computed:
            assert torch.equal(spy.computed[step], residuals[step])
        step = place[-1]
        assert errors[place] == (spy.forecast[step] - residuals[step]).abs().mean()
        assert errors[place] > 0


def test_reuse_errors_agree_with_the_reuse_mechanism(residuals: tuple[Tensor, ...]) -> None:
    forecast, reuse = forecast_errors(residuals, Reuse()), reuse_errors(residuals)
    for j in range(NUM_STEPS):
        for t in range(j + 1, NUM_STEPS):
            magnitude = residuals[t].abs().mean()
            for i in range(j) if j else [0]:
                torch.testing.assert_close(forecast[i, j, t] / magnitude, reuse[j, t])
    assert not torch.tril(reuse).any()


def test_forecast_errors_vanish_for_what_a_mechanism_is_exact_for() -> None:
    line = torch.randn(2, 1, 4, 3, dtype=torch.float64)
    residuals = [line[0] + step * line[1] for step in range(6)]
    errors = forecast_errors(residuals, Newton(1))
    assert errors[0, 0, 1:].min() > 0.01
    assert errors[0, 1:].max() < 1e-5 and errors[1:].max() < 1e-5
    assert all(errors[i, j, t] == 0 for i in range(6) for j in range(6) for t in range(6) if t <= j or i > j)


def test_magnitude_ratios_average_over_tokens() -> None:
    first = torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    second = torch.tensor([[[6.0, 8.0], [0.0, 0.5]]])
    assert magnitude_ratios([first, second]).tolist() == [1.0, (2 + 0.5) / 2]


def test_other_numbers_of_calls_and_attached_schedules_are_refused(pipe: Any, embeds: dict[str, Tensor]) -> None:
    with ResidualRecorder(pipe.transformer) as recorder:
        latents(pipe, embeds)
    with pytest.raises(RunFailedError, match=f"called its transformer {NUM_STEPS} times, 9 steps need 9"):
        recorder.residuals(9)
    with (
        ScheduleInterceptor(pipe.transformer, [schedule(0, 1)], Reuse()),
        pytest.raises(BadInputError, match="already attached"),
        ResidualRecorder(pipe.transformer),
    ):
        pass


def test_guidance_branches_of_a_step_are_rows_and_a_single_block_is_enough(embeds: dict[str, Tensor]) -> None:
    single = tiny_flux_pipeline(num_layers=1, num_single_layers=0)
    with ResidualRecorder(single.transformer, forwards_per_step=2) as recorder:
        latents(single, embeds, num_inference_steps=4)
    assert [residual.shape[0] for residual in recorder.residuals(2)] == [2, 2]
