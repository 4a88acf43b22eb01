import dataclasses
import math

import pytest

from recache_ray.evaluation.frontier import FrontierRow
from recache_ray.evaluation.paired import paired_ratio, prompt_means
from recache_ray.evaluation.report.findings import change, find
from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.evaluation.samples import Sample


def hand_made(inputs: ReportInputs, lpips: dict[tuple[str, int], list[float]]) -> ReportInputs:
    """Inputs whose methods have the given LPIPS per prompt."""
    rows = tuple(
        FrontierRow(
            name, "reuse", 20, k, k, 0.0, 2.0, 1.0, sum(v) / len(v), None, None, None, 0.0, len(v), min(v), max(v)
        )
        for (name, k), v in lpips.items()
    )
    samples = tuple(
        Sample(name, "reuse", 20, k, prompt, prompt, tuple(range(k)), value, None, None, None, -value)
        for (name, k), values in lpips.items()
        for prompt, value in enumerate(values)
    )
    return dataclasses.replace(inputs, rows=rows, samples=samples)


def test_every_ratio_is_the_paired_one_of_its_samples(inputs: ReportInputs) -> None:
    found = find(inputs)
    assert {name for name, _ in found.rivals} == {"uniform", "uniform_warm", "uniform_ends", "random"}
    assert [line.budget for line in found.table] == [3, 4, 5, 6, 8, None]
    policy = inputs.methods[0]
    for line in found.table[:-1]:
        for rival, ratio in zip(found.rivals, line.ratios, strict=True):
            ours, theirs = (prompt_means(inputs.by_point[method, line.budget or 0]) for method in (policy, rival))
            assert ratio == paired_ratio(ours, theirs, samples=100, seed=0)
            row, other = inputs.row(policy, line.budget or 0), inputs.row(rival, line.budget or 0)
            assert row and other and ratio and ratio.ratio == pytest.approx(row.lpips / other.lpips)
    for column in range(len(found.rivals)):
        ratios = [line.ratios[column] for line in found.table]
        logs = [math.log(ratio.ratio) for ratio in ratios[:-1] if ratio]
        assert ratios[-1] and ratios[-1].ratio == pytest.approx(math.exp(sum(logs) / len(logs)))


def test_the_headline_counts_budgets_against_the_best_rival_of_each(inputs: ReportInputs) -> None:
    made = hand_made(
        inputs,
        {
            ("policy", 3): [0.1, 0.2, 0.3], ("a", 3): [0.2, 0.4, 0.6], ("b", 3): [0.9, 0.9, 0.9],
            ("policy", 4): [0.1, 0.1, 0.1], ("a", 4): [0.4, 0.4, 0.4], ("b", 4): [0.1, 0.1, 0.1],
        },
    )  # fmt: skip
    found = find(made)
    assert found.headline.startswith(
        "The learned schedules are closer to the uncached pictures than the best rival at 1 of 2 budgets (level at 1); "
        "mean LPIPS is 29% lower on geometric mean (95% interval 29% lower to 29% lower)"
    )
    assert found.overall and found.overall.ratio == pytest.approx(0.5**0.5)


def test_one_prompt_has_a_ratio_and_no_interval_and_no_rival_is_said(inputs: ReportInputs) -> None:
    one = find(hand_made(inputs, {("policy", 3): [0.3], ("a", 3): [0.2]}))
    assert "at no budget; mean LPIPS is 50% higher (one prompt, no interval)." in one.headline
    assert one.overall and one.overall.ratio == pytest.approx(1.5) and math.isnan(one.overall.low)
    alone = find(hand_made(inputs, {("policy", 3): [0.3, 0.2]}))
    assert "No baseline was evaluated" in alone.headline and alone.rivals == ()


def test_a_rival_missing_at_a_budget_leaves_a_gap(inputs: ReportInputs) -> None:
    found = find(hand_made(inputs, {("policy", 3): [0.3, 0.1], ("policy", 4): [0.1, 0.2], ("a", 4): [0.2, 0.2]}))
    assert [line.ratios[0] is None for line in found.table] == [True, False, False]
    assert "at the one budget" in found.headline


def test_changes_in_words() -> None:
    assert [change(ratio) for ratio in (0.75, 1.2, 1.0, 4.0)] == [
        "25% lower",
        "20% higher",
        "equal",
        "4.0 times as high",
    ]
