"""What the page says first: how the policy compares with the others, in a sentence and as a table of paired ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recache_ray.evaluation.paired import PromptMeans, RatioInterval, paired_geometric_mean, prompt_means
from recache_ray.evaluation.report.inputs import Method, ReportInputs
from recache_ray.evaluation.rivals import best_rivals
from recache_ray.evaluation.table import POLICY


@dataclass(frozen=True, slots=True)
class RatioRow:
    """One line of the table: the policy's mean LPIPS over that of every rival.

    Attributes:
        budget: k; None for the geometric mean over budgets.
        ratios: one entry per rival, None where it was not evaluated.
    """

    budget: int | None
    ratios: tuple[RatioInterval | None, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of a run.

    Attributes:
        headline: one sentence.
        conditions: how it was measured, one sentence.
        overall: policy over the best rival of each budget, geometric mean; None without rivals.
        rivals: the columns of the table, closest first.
        table: a line per budget, then the geometric mean.
    """

    headline: str
    conditions: str
    overall: RatioInterval | None
    rivals: tuple[Method, ...]
    table: tuple[RatioRow, ...]


def find(inputs: ReportInputs) -> Findings:
    """Compare the policy with every other method on the same prompts."""
    policy = inputs.methods[0]
    rivals = inputs.methods[1:]
    means = {point: prompt_means(samples) for point, samples in inputs.by_point.items()}

    def pair(rival: Method, budget: int) -> tuple[PromptMeans, PromptMeans] | None:
        ours, theirs = means.get((policy, budget)), means.get((rival, budget))
        return None if ours is None or theirs is None else (ours, theirs)

    def ratio(pairs: Sequence[tuple[PromptMeans, PromptMeans] | None]) -> RatioInterval | None:
        present = [each for each in pairs if each is not None]
        return _interval(present, inputs) if present else None

    table = [RatioRow(k, tuple(ratio([pair(rival, k)]) for rival in rivals)) for k in inputs.budgets]
    if len(inputs.budgets) > 1:
        over_all = tuple(ratio([pair(rival, k) for k in inputs.budgets]) for rival in rivals)
        table.append(RatioRow(None, over_all))
    best = {k: (row.schedule, row.mechanism) for k, row in best_rivals(inputs.rows).items() if k in inputs.budgets}
    overall = ratio([pair(method, k) for k, method in best.items()])
    order = [_order(inputs, policy, method, k) for k, method in best.items()]
    prompts = len({sample.prompt_index for sample in inputs.samples if sample.schedule == POLICY})
    return Findings(_headline(order, overall), _conditions(inputs, prompts), overall, rivals, tuple(table))


def _interval(pairs: Sequence[tuple[PromptMeans, PromptMeans]], inputs: ReportInputs) -> RatioInterval:
    """With a single prompt there is a ratio but nothing to resample: its interval is not a number."""
    if len(pairs[0][0]) > 1:
        return paired_geometric_mean(pairs, samples=inputs.bootstrap_samples, seed=inputs.seed)
    twice = [tuple({prompt: value for prompt in (0, 1) for value in means.values()} for means in p) for p in pairs]
    only = paired_geometric_mean([(ours, rival) for ours, rival in twice], samples=1, seed=0)
    return RatioInterval(only.ratio, math.nan, math.nan, 1)


def _order(inputs: ReportInputs, policy: Method, rival: Method, budget: int) -> int:
    """-1 where the policy's mean LPIPS is the lower one, 0 where they are equal, 1 where it is higher."""
    ours, theirs = inputs.row(policy, budget), inputs.row(rival, budget)
    assert ours is not None and theirs is not None
    return (ours.lpips > theirs.lpips) - (ours.lpips < theirs.lpips)


def _headline(order: Sequence[int], overall: RatioInterval | None) -> str:
    if overall is None:
        return "No baseline was evaluated, so there is nothing to compare the learned schedules with."
    below, level, budgets = order.count(-1), order.count(0), len(order)
    at = f"at {below} of {budgets} budgets" if budgets > 1 else "at the one budget" if below else "at no budget"
    at += f" (level at {level})" if level else ""
    sentence = f"The learned schedules are closer to the uncached pictures than the best rival {at}; "
    sentence += f"mean LPIPS is {change(overall.ratio)}"
    sentence += " on geometric mean" if budgets > 1 else ""
    if math.isnan(overall.low):
        return f"{sentence} (one prompt, no interval)."
    spread = f"95% interval {change(overall.low)} to {change(overall.high)}"
    return f"{sentence} ({spread}{'' if overall.decided else ': undecided'})."


def change(ratio: float) -> str:
    """A ratio in words, for example ``25% lower``."""
    if abs(ratio - 1) < 0.005:
        return "equal"
    if ratio >= 3:
        return f"{ratio:.1f} times as high"
    return f"{abs(1 - ratio):.0%} {'lower' if ratio < 1 else 'higher'}"


def _conditions(inputs: ReportInputs, prompts: int) -> str:
    model = str(inputs.table.model.get("id", "model"))
    size = f"{inputs.table.model['width']} x {inputs.table.model['height']}" if "width" in inputs.table.model else ""
    noun = "prompt" if prompts == 1 else "prompts"
    parts = [
        f"{model} {size}".strip(),
        f"T = {inputs.table.num_steps} steps",
        f"cached steps by {inputs.methods[0][1]}",
        f"{prompts} held-out {noun}, the same for every method",
        f"{inputs.bootstrap_samples:,} paired resamplings of prompts",
    ]
    return ", ".join(parts) + ". The best rival is chosen per budget on these very prompts, which favours it."
