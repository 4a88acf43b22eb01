"""The rollout worker on a tiny real pipeline."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recache_ray.diffusion.adapter import NonFiniteGenerationError
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.references.encoding import decode_png
from recache_ray.references.store import ReferenceStore
from recache_ray.rollouts.worker import RolloutWorker
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny_flux import tiny_adapter
from recache_ray.testing.tiny_worker import NUM_STEPS, DifferenceScorer
from recache_ray.types import (
    BatchReport,
    BatchTask,
    CalibrationReport,
    CalibrationTask,
    GateSpec,
    GenerationRequest,
    MechanismSpec,
    ModelReport,
    ProbeTask,
    Prompt,
    ReferenceReport,
    ReferenceTask,
    RewardBreakdown,
    RolloutFailure,
    RolloutGroup,
    RolloutTask,
    SignalReport,
    SignalTask,
    TaskResult,
)

REQUEST = GenerationRequest(Prompt(0, "a small red circle on a black background"), noise_seed=5)
TAYLOR = MechanismSpec("taylor", 1)
FULL = Schedule.full(NUM_STEPS)
UNEVEN = Schedule(NUM_STEPS, (0, 1, 5))
SPARSE = Schedule(NUM_STEPS, (0, 4))


class Rig:
    """A worker with its parts in reach."""

    def __init__(self, folder: Path, max_batch: int = 4) -> None:
        torch.set_num_threads(1)
        self.adapter = tiny_adapter(NUM_STEPS)
        self.store = ReferenceStore.open(folder, self.adapter.identity())
        self.scorer = DifferenceScorer()
        self.worker = RolloutWorker(self.adapter, self.store, self.scorer, max_batch, "w0")

    def run(self, task: RolloutTask, **options: Any) -> RolloutGroup:
        result = self.worker.run(task, **options)
        assert isinstance(result, RolloutGroup), result
        return result


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path / "store")
    rig.worker.run(ReferenceTask(0, (REQUEST,)))
    return rig


def given(*schedules: Schedule, **changes: Any) -> RolloutTask:
    return replace(RolloutTask(7, REQUEST, TAYLOR, schedules=schedules), **changes)


def without_time(result: TaskResult) -> TaskResult:
    return replace(result, seconds=0.0, worker="")


def test_references_are_made_once_and_equal_the_untouched_pipeline(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "store")
    other = GenerationRequest(Prompt(1, "a large blue star"), noise_seed=6)
    report = rig.worker.run(ReferenceTask(3, (REQUEST, other)))
    assert isinstance(report, ReferenceReport)
    assert (report.task_id, report.written, report.worker) == (3, 2, "w0")
    again = rig.worker.run(ReferenceTask(4, (REQUEST, other)))
    assert isinstance(again, ReferenceReport)
    assert again.written == 0
    untouched = rig.adapter.pipeline(
        **{name: value[None] for name, value in rig.adapter.encode(other.prompt.text).items()},
        height=16, width=16, num_inference_steps=NUM_STEPS, guidance_scale=1.0, output_type="np",
        generator=torch.Generator().manual_seed(6),
    ).images  # fmt: skip
    assert np.array_equal(rig.store.read(other).image, (untouched * 255).round().astype(np.uint8))


def test_given_schedules_keep_their_order_and_repeats_run_once(rig: Rig) -> None:
    group = rig.run(given(SPARSE, FULL, UNEVEN, SPARSE))
    assert [rollout.schedule for rollout in group.rollouts] == [SPARSE, FULL, UNEVEN, SPARSE]
    assert group.rollouts[1].breakdown.metrics["lpips"] == 0.0
    assert group.rollouts[0] == group.rollouts[3]
    assert 0 < group.rollouts[2].breakdown.metrics["lpips"] != group.rollouts[0].breakdown.metrics["lpips"]
    assert all(rollout.log_prob == 0.0 and not rollout.memoised for rollout in group.rollouts)
    assert group.evaluations == 3
    assert group.forwards_requested == 2 + NUM_STEPS + 3 + 2
    prefixes = {each.prefix(step) for each in (SPARSE, FULL, UNEVEN) for step in each.compute_steps}
    assert group.forwards_executed == len(prefixes)


def test_known_rewards_are_not_measured_again(rig: Rig) -> None:
    known = {SPARSE: RewardBreakdown(-0.5, {"lpips": 0.5}), FULL: RewardBreakdown(-0.25)}
    group = rig.run(given(SPARSE, UNEVEN, known=known))
    assert [rollout.memoised for rollout in group.rollouts] == [True, False]
    assert group.rollouts[0].breakdown == known[SPARSE]
    assert (group.forwards_executed, group.forwards_requested, group.evaluations) == (3, 5, 1)
    calls = rig.scorer.calls
    nothing = rig.run(given(SPARSE, SPARSE, known=known))
    assert (nothing.forwards_executed, nothing.evaluations, rig.scorer.calls) == (0, 0, calls)


def test_evaluation_measures_what_the_memo_lacks(rig: Rig) -> None:
    known = {SPARSE: RewardBreakdown(-0.5, {"lpips": 0.5})}
    (rollout,) = rig.run(given(SPARSE, known=known, all_metrics=True, return_images=True)).rollouts
    assert not rollout.memoised
    assert "psnr" in rollout.breakdown.metrics
    assert rollout.image_png is not None
    assert decode_png(rollout.image_png).shape == (16, 16, 3)


def test_sampled_schedules_are_a_function_of_task_and_policy(rig: Rig, tmp_path: Path) -> None:
    policy = BudgetPolicy(NUM_STEPS, [3, 4, 5])
    task = RolloutTask(9, REQUEST, TAYLOR, budgets=(3, 3, 5, 5), sampling_seed=11, policy_version=2)
    group = rig.run(task, snapshot=policy.snapshot(2))
    assert [rollout.schedule.budget for rollout in group.rollouts] == [3, 3, 5, 5]
    assert group.policy_version == 2
    for rollout in group.rollouts:
        expected = policy.distribution(rollout.schedule.budget).log_prob([rollout.schedule])
        assert rollout.log_prob == pytest.approx(expected.item(), abs=1e-9)
    elsewhere = Rig(tmp_path / "store")
    elsewhere.run(replace(task, budgets=(4,), policy_version=1), snapshot=policy.snapshot(1))
    assert without_time(elsewhere.run(task, snapshot=policy.snapshot(2))) == without_time(group)
    longer = rig.run(replace(task, budgets=(3, 3, 5, 5, 3)), snapshot=policy.snapshot(2))
    assert [r.schedule for r in longer.rollouts[:4]] == [r.schedule for r in group.rollouts]
    reseeded = rig.run(replace(task, budgets=(4,) * 12, sampling_seed=12), snapshot=policy.snapshot(2))
    assert len({rollout.schedule for rollout in reseeded.rollouts}) > 1


def test_the_policy_follows_its_snapshot(rig: Rig) -> None:
    policy = BudgetPolicy(NUM_STEPS, [4])
    task = RolloutTask(9, REQUEST, TAYLOR, budgets=(4,) * 4, sampling_seed=1)
    before = rig.run(task, snapshot=policy.snapshot(0))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.linspace(-3, 3, parameter.numel()).view_as(parameter))
    after = rig.run(task, snapshot=policy.snapshot(0))  # a run restarted from scratch counts its versions from 0 again
    assert [r.log_prob for r in before.rollouts] != [r.log_prob for r in after.rollouts]


@pytest.mark.parametrize("version", [None, 3])
def test_sampling_without_the_right_snapshot_is_refused(rig: Rig, version: int | None) -> None:
    snapshot = None if version is None else BudgetPolicy(NUM_STEPS, [3]).snapshot(version)
    with pytest.raises(BadInputError, match="submit the task with its snapshot"):
        rig.worker.run(RolloutTask(1, REQUEST, TAYLOR, budgets=(3,)), snapshot)


def test_small_batches_give_the_same_rollouts(rig: Rig, tmp_path: Path) -> None:
    task = given(SPARSE, FULL, UNEVEN, Schedule(NUM_STEPS, (0, 1, 4)))
    alone = Rig(tmp_path / "store", max_batch=1).run(task)
    together = rig.run(task)
    for one, other in zip(alone.rollouts, together.rollouts, strict=True):
        assert one.breakdown.reward == pytest.approx(other.breakdown.reward, abs=1 / 255)
    assert alone.forwards_executed > together.forwards_executed


def test_a_generation_that_is_not_finite_is_a_failure_with_a_reason(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_finite(*_: Any, **__: Any) -> None:
        raise NonFiniteGenerationError([UNEVEN], 5)

    monkeypatch.setattr(rig.adapter, "run", not_finite)
    failure = rig.worker.run(given(UNEVEN))
    assert isinstance(failure, RolloutFailure)
    assert (failure.task_id, failure.retryable, failure.worker) == (7, False, "w0")
    assert "not finite" in failure.reason
    assert REQUEST.prompt.text in failure.reason


def test_a_metric_that_is_not_finite_is_a_failure(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_finite(*_: Any, **__: Any) -> None:
        raise RunFailedError("metric lpips of sibling 0 is nan; must be finite")

    monkeypatch.setattr(rig.scorer, "score", not_finite)
    assert rig.worker.run(given(UNEVEN)) == RolloutFailure(
        7, "metric lpips of sibling 0 is nan; must be finite", retryable=False, worker="w0"
    )


def test_references_made_before_one_that_fails_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path / "store")
    bad = GenerationRequest(Prompt(1, "a large blue star"), noise_seed=6)
    run = rig.adapter.run

    def sometimes(embeddings: Any, noise_seed: int, *rest: Any) -> Any:
        if noise_seed == 6:
            raise NonFiniteGenerationError([FULL], noise_seed)
        return run(embeddings, noise_seed, *rest)

    monkeypatch.setattr(rig.adapter, "run", sometimes)
    assert isinstance(rig.worker.run(ReferenceTask(0, (REQUEST, bad))), RolloutFailure)
    assert rig.store.missing([REQUEST, bad]) == (bad,)


def test_a_lost_reference_is_made_again_bit_for_bit(rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = rig.run(given(UNEVEN))
    for file in (tmp_path / "store" / "images").iterdir():
        file.unlink()
    healed = Rig(tmp_path / "store")
    assert without_time(healed.run(given(UNEVEN))) == without_time(before)
    assert "making it again" in caplog.text
    assert not healed.store.missing([REQUEST])


def test_text_encoders_leave_after_the_references(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[bool] = []
    monkeypatch.setattr(rig.adapter, "release_text_encoders", lambda: released.append(True))
    rig.run(given(SPARSE))
    rig.run(given(UNEVEN))
    assert released == [True]


def test_a_probe_tells_the_model_and_its_costs(rig: Rig) -> None:
    report = rig.worker.run(ProbeTask(1, TAYLOR, REQUEST))
    assert isinstance(report, ModelReport)
    assert report.model["id"] == "tiny-flux"
    assert report.model["num_steps"] == NUM_STEPS
    assert report.computed_flops > report.cached_flops > 0
    assert report.computed_s > 0


def test_a_calibration_measures_one_uncached_generation(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    report = rig.worker.run(CalibrationTask(4, REQUEST, TAYLOR))
    assert isinstance(report, CalibrationReport)
    assert (report.task_id, report.request, report.worker) == (4, REQUEST, "w0")
    assert report.num_steps == report.forwards == len(report.magnitude_ratios) == NUM_STEPS
    reuse = np.frombuffer(report.reuse_errors, "<f4").reshape(NUM_STEPS, NUM_STEPS)
    forecast = np.frombuffer(report.forecast_errors, "<f4").reshape((NUM_STEPS,) * 3)
    assert (reuse[np.triu_indices(NUM_STEPS, 1)] > 0).all() and forecast[2, 4, 7] > 0
    assert without_time(rig.worker.run(CalibrationTask(4, REQUEST, TAYLOR))) == without_time(report)
    other = rig.worker.run(CalibrationTask(4, REQUEST, MechanismSpec("reuse")))
    assert isinstance(other, CalibrationReport)
    assert other.reuse_errors == report.reuse_errors and other.forecast_errors != report.forecast_errors
    monkeypatch.setattr("recache_ray.rollouts.calibration.MAX_STEPS", NUM_STEPS - 1)
    with pytest.raises(BadInputError, match="leave them out"):
        rig.worker.run(CalibrationTask(4, REQUEST, TAYLOR))


def test_residuals_that_vanish_are_a_failure(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tuple(torch.zeros(1, 2, 3) for _ in range(NUM_STEPS))
    monkeypatch.setattr("recache_ray.caching.recorder.ResidualRecorder.residuals", lambda *_: nothing)
    failure = rig.worker.run(CalibrationTask(4, REQUEST, TAYLOR))
    assert isinstance(failure, RolloutFailure)
    assert not failure.retryable and REQUEST.prompt.text in failure.reason


GATES = (GateSpec("fbcache", 0.0), GateSpec("fbcache", 0.2), GateSpec("easycache", 0.2), GateSpec("dicache", 1e9))


def test_gates_report_the_schedule_that_arose_and_what_asking_cost(rig: Rig) -> None:
    group = rig.run(RolloutTask(7, REQUEST, TAYLOR, gates=GATES, all_metrics=True))
    untouched, by_block, by_output, forced = group.rollouts
    assert untouched.schedule == FULL
    assert untouched.breakdown.metrics["lpips"] == 0.0
    assert untouched.partial_forwards == 0.0
    assert forced.schedule == Schedule(NUM_STEPS, (0, NUM_STEPS - 1))
    # three blocks of nearly equal size, one of which ran at each of the cached steps, after the text embedder
    assert forced.partial_forwards / (NUM_STEPS - 2) == pytest.approx(1 / 3, abs=0.12)
    assert by_output.partial_forwards < 0.1 * forced.partial_forwards
    assert all(rollout.breakdown.metrics["psnr"] == 1.0 and not rollout.memoised for rollout in group.rollouts)
    budgets = [rollout.schedule.budget for rollout in group.rollouts]
    assert group.forwards_requested == group.forwards_executed == sum(budgets)
    replayed = rig.run(given(*(rollout.schedule for rollout in group.rollouts), all_metrics=True))
    for adaptive, static in zip((by_block, by_output, forced), replayed.rollouts[1:], strict=True):
        assert adaptive.breakdown.reward == pytest.approx(static.breakdown.reward, abs=1 / 255)


def test_gated_rollouts_are_a_function_of_the_task(rig: Rig, tmp_path: Path) -> None:
    task = RolloutTask(7, REQUEST, TAYLOR, gates=GATES[1:2], return_images=True)
    group = rig.run(task)
    assert without_time(Rig(tmp_path / "store").run(task)) == without_time(rig.run(task)) == without_time(group)
    assert all(decode_png(rollout.image_png or b"").shape == (16, 16, 3) for rollout in group.rollouts)


def test_a_gate_that_does_not_fit_is_refused(rig: Rig) -> None:
    with pytest.raises(BadInputError, match="table of 3 ratios: must be one per step, 8"):
        rig.run(RolloutTask(7, REQUEST, TAYLOR, gates=(GateSpec("magcache", 0.1, table=(1.0,) * 3),)))


def test_a_gated_generation_that_is_not_finite_is_a_failure(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_finite(*_: Any, **__: Any) -> None:
        raise NonFiniteGenerationError([UNEVEN], 5)

    monkeypatch.setattr(rig.adapter, "run_gated", not_finite)
    failure = rig.worker.run(RolloutTask(7, REQUEST, TAYLOR, gates=GATES[:1]))
    assert isinstance(failure, RolloutFailure)
    assert "not finite" in failure.reason and REQUEST.prompt.text in failure.reason


def test_signals_are_the_changes_of_an_uncached_generation(rig: Rig) -> None:
    inputs: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []
    transformer = rig.adapter.transformer
    handles = [
        transformer.transformer_blocks[0].attn.register_forward_pre_hook(
            lambda m, a, k: inputs.append(k["hidden_states"]), with_kwargs=True
        ),
        transformer.register_forward_hook(lambda m, a, output: outputs.append(output[0])),
    ]
    report = rig.worker.run(SignalTask(3, REQUEST))
    for handle in handles:
        handle.remove()
    assert isinstance(report, SignalReport)
    assert (report.task_id, report.worker, len(inputs)) == (3, "w0", NUM_STEPS)
    for recorded, tensors in ((report.input_changes, inputs), (report.output_changes, outputs)):
        changes = [float((b - a).abs().mean() / a.abs().mean()) for a, b in pairwise(tensors)]
        assert recorded == pytest.approx(changes[:-1], rel=1e-6)


OTHER = GenerationRequest(Prompt(1, "a large blue star"), noise_seed=6)


def batch(*parts: RolloutTask) -> BatchTask:
    return BatchTask(7, parts)


def test_a_batch_gives_every_part_the_group_it_has_alone(rig: Rig) -> None:
    rig.worker.run(ReferenceTask(0, (OTHER,)))
    parts = given(SPARSE, UNEVEN, SPARSE), given(UNEVEN, FULL, request=OTHER)
    report = rig.worker.run(batch(*parts))
    assert isinstance(report, BatchReport)
    for part, group in zip(parts, report.groups, strict=True):
        alone = rig.run(part)
        assert [rollout.schedule for rollout in group.rollouts] == [rollout.schedule for rollout in alone.rollouts]
        for one, other in zip(group.rollouts, alone.rollouts, strict=True):
            assert one.breakdown.reward == pytest.approx(other.breakdown.reward, abs=1e-4)
        assert (group.request, group.worker, group.evaluations) == (part.request, "w0", alone.evaluations)
        assert group.forwards_requested == alone.forwards_requested
        assert group.forwards_executed == alone.forwards_executed
    # the same schedule on two prompts: two rewards
    assert report.groups[0].rollouts[1].breakdown.reward != pytest.approx(
        report.groups[1].rollouts[0].breakdown.reward, abs=2e-4
    )


def test_a_batch_with_one_bad_picture_fails_as_a_whole(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_finite(*_: Any, **__: Any) -> None:
        raise NonFiniteGenerationError([UNEVEN], 5)

    rig.worker.run(ReferenceTask(0, (OTHER,)))
    monkeypatch.setattr(rig.adapter, "run_drawings", not_finite)
    failure = rig.worker.run(batch(given(SPARSE), given(UNEVEN, request=OTHER)))
    assert isinstance(failure, RolloutFailure)
    assert (failure.task_id, failure.retryable, failure.worker) == (7, False, "w0")
    monkeypatch.undo()
    monkeypatch.setattr(rig.scorer, "score", _refuse)
    failure = rig.worker.run(batch(given(SPARSE), given(UNEVEN, request=OTHER)))
    assert failure == RolloutFailure(7, "metric lpips of sibling 0 is nan; must be finite", worker="w0")


@pytest.mark.parametrize(
    "parts", [(given(SPARSE), given(SPARSE, mechanism=MechanismSpec("reuse"))), (given(SPARSE), given())]
)
def test_a_batch_of_unlike_parts_is_refused(rig: Rig, parts: tuple[RolloutTask, ...]) -> None:
    with pytest.raises(BadInputError, match="one mechanism in common"):
        rig.worker.run(batch(*parts))


def _refuse(*_: Any, **__: Any) -> None:
    raise RunFailedError("metric lpips of sibling 0 is nan; must be finite")
