"""Which methods of a run are decidedly better than which, so that runs can be compared in what they really say.

Two methods that lie close change places with the prompts; a ranking alone makes much of that.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from recache_ray.evaluation.paired import PromptMeans, paired_geometric_mean

Better = tuple[str, str]
"""A method, and one that it is decidedly better than."""


def decided_pairs(
    means: Mapping[tuple[str, int], PromptMeans],
    methods: Sequence[str],
    budgets: Sequence[int],
    *,
    samples: int,
    seed: int,
) -> tuple[Better, ...]:
    """Pairs of methods whose ratio of LPIPS, geometric mean over the budgets, has an interval that leaves out 1.

    Args:
        means: LPIPS of every prompt, by method and budget.
        methods: which to compare; those without a schedule for some budget are left out.
        budgets: compared at all of them together.
        samples: resamplings behind an interval.
        seed: of the resampling.
    """
    complete = [method for method in methods if all((method, k) in means for k in budgets)]
    found = []
    for one, other in itertools.combinations(complete, 2):
        pairs = [(means[one, k], means[other, k]) for k in budgets]
        ratio = paired_geometric_mean(pairs, samples=samples, seed=seed)
        if ratio.decided:
            found.append((one, other) if ratio.ratio < 1.0 else (other, one))
    return tuple(found)


def order_agreement(runs: Sequence[Sequence[Better]], methods: Sequence[str]) -> str:
    """A sentence: how many pairs of ``methods`` every one of several runs decides, and which of these differently."""
    known = [{frozenset(pair): pair for pair in pairs if set(pair) <= set(methods)} for pairs in runs]
    everywhere = [key for key in known[0] if all(key in other for other in known[1:])]
    turned = [known[0][key] for key in everywhere if len({other[key] for other in known}) > 1]
    number = len(methods) * (len(methods) - 1) // 2
    text = f"Of the {number} pairs of these methods, {len(everywhere)} are decided in every run, "
    if not turned:
        return text + "all of them the same way."
    named = ", ".join(f"{better} before {worse}" for better, worse in turned)
    return text + f"{len(turned)} of them not the same way (in the first: {named})."
