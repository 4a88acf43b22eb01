"""Sums over all paths of exactly k edges: log-normaliser, entropy, transition probabilities, best path.

A schedule 0 = i_0 < i_1 < ... < i_{k-1} is a path that ends in T, scored by the sum of w(i_m, i_{m+1}). With r
computed steps left, counting the one at i, the backward recursions are

    F_1(i) = w(i, T),   F_r(i) = LSE_{j>i} [w(i, j) + F_{r-1}(j)],   log Z = F_k(0)
    P_r(i, j) = exp(w(i, j) + F_{r-1}(j) - F_r(i))
    H_1(i) = 0,         H_r(i) = sum_j P_r(i, j) [H_{r-1}(j) - log P_r(i, j)],   entropy = H_k(0).

Level r has states i = 0..T-r only (later ones cannot fit r computed steps), so each level is an upper-triangular
square. The gradient of both sums is one sweep in the other direction, written out below: it costs no more than the
recursion, and never differentiates through masked entries.

Shapes: K budgets ascending, A of them still active at a level (a tail of the K), T steps, n = T - r + 1 states.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_IMPOSSIBLE = -1e300


@dataclass(frozen=True, slots=True)
class Level:
    """The recursion with a given number of computed steps left.

    Attributes:
        first: rows ``first..K-1`` have a budget of at least this level.
        log_sum: F [A, n].
        entropy: H [A, n].
        transition: P [A, n, n], column c standing for j = c + 1; zero below the diagonal. Empty at level 1.
        surprise: entropy still to come after j, minus log P [A, n, n]. Empty at level 1.
    """

    first: int
    log_sum: Tensor
    entropy: Tensor
    transition: Tensor
    surprise: Tensor


def backward_levels(scores: Tensor, budgets: Sequence[int]) -> list[Level]:
    """Run the recursion for edge scores [K, T, T + 1]; element r - 1 of the result is level r."""
    num_steps = scores.shape[1]
    masked = mask_edges(scores)
    empty = scores.new_empty(0)
    levels = [Level(0, scores[:, :, num_steps], torch.zeros_like(scores[:, :, num_steps]), empty, empty)]
    for left in range(2, budgets[-1] + 1):
        below, states = levels[-1], num_steps - left + 1
        first = bisect_left(budgets, left)
        skip = first - below.first
        total = masked[first:, :states, 1 : states + 1] + below.log_sum[skip:, None, 1:]
        log_sum = total.logsumexp(-1)
        log_transition = total.sub_(log_sum[..., None])
        transition = log_transition.exp()
        surprise = below.entropy[skip:, None, 1:] - log_transition
        levels.append(Level(first, log_sum, (transition * surprise).sum(-1), transition, surprise))
    return levels


def mask_edges(scores: Tensor) -> Tensor:
    """Edge scores [K, T, T + 1] with the edges that do not go forward made impossible."""
    return scores.masked_fill(torch.ones(scores.shape[1:], dtype=torch.bool).tril(), _IMPOSSIBLE)


class PathSums(torch.autograd.Function):
    """``(log Z [K], entropy [K])`` of edge scores [K, T, T + 1], with exact first derivatives."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, budgets: tuple[int, ...], levels: list[Level]) -> tuple[Tensor, Tensor]:
        ctx.budgets, ctx.levels = budgets, levels
        ends = [(levels[budget - 1], row) for row, budget in enumerate(budgets)]
        return (
            torch.stack([level.log_sum[row - level.first, 0] for level, row in ends]),
            torch.stack([level.entropy[row - level.first, 0] for level, row in ends]),
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_log_z: Tensor, to_entropy: Tensor) -> tuple[Tensor, None, None]:
        return score_gradient(ctx.levels, ctx.budgets, to_log_z, to_entropy), None, None


def score_gradient(levels: list[Level], budgets: tuple[int, ...], to_log_z: Tensor, to_entropy: Tensor) -> Tensor:
    """Gradient [K, T, T + 1] of ``to_log_z @ log Z + to_entropy @ entropy``; for log Z alone, edge probabilities.

    Sweeps from the start of the path to its end, carrying the adjoints of F and H at every state. For
    x = w(i, j) + F_{r-1}(j): dF_r(i)/dx = P, dH_r(i)/dx = P (surprise - H_r(i)) and dH_r(i)/dH_{r-1}(j) = P.
    """
    num_steps = levels[0].log_sum.shape[1]
    gradient = to_log_z.new_zeros(len(budgets), num_steps, num_steps + 1)
    to_f = to_log_z.new_zeros(levels[-1].log_sum.shape)
    to_h = torch.zeros_like(to_f)
    for left in range(len(levels), 1, -1):
        level, below = levels[left - 1], levels[left - 2]
        _add_starts(to_f, to_h, level.first, left, budgets, to_log_z, to_entropy)
        visits = level.transition * to_h[..., None]
        flow = level.transition * to_f[..., None] + visits * (level.surprise - level.entropy[..., None])
        states = num_steps - left + 1
        gradient[level.first :, :states, 1 : states + 1] += flow
        skip = level.first - below.first
        to_f, to_h = torch.zeros_like(below.log_sum), torch.zeros_like(below.log_sum)
        to_f[skip:, 1:], to_h[skip:, 1:] = flow.sum(-2), visits.sum(-2)
    _add_starts(to_f, to_h, 0, 1, budgets, to_log_z, to_entropy)
    gradient[:, :, num_steps] += to_f
    return gradient


def _add_starts(
    to_f: Tensor, to_h: Tensor, first: int, left: int, budgets: tuple[int, ...], to_log_z: Tensor, to_entropy: Tensor
) -> None:
    """The row whose budget is ``left`` starts at this level, in state 0."""
    if budgets[first] == left:
        to_f[0, 0] += to_log_z[first]
        to_h[0, 0] += to_entropy[first]


def best_paths(scores: Tensor, budgets: Sequence[int]) -> list[tuple[int, ...]]:
    """The computed steps of the highest-scoring path of each budget (max-sum recursion; ties take the earlier step)."""
    num_steps = scores.shape[1]
    masked = mask_edges(scores)
    best, first = scores[:, :, num_steps], 0
    choices: list[tuple[int, Tensor]] = []
    for left in range(2, budgets[-1] + 1):
        states, previous = num_steps - left + 1, first
        first = bisect_left(budgets, left)
        best, choice = (masked[first:, :states, 1 : states + 1] + best[first - previous :, None, 1:]).max(-1)
        choices.append((first, choice))
    paths = []
    for row, budget in enumerate(budgets):
        steps = [0]
        for left in range(budget, 1, -1):
            offset, choice = choices[left - 2]
            steps.append(int(choice[row - offset, steps[-1]]) + 1)
        paths.append(tuple(steps))
    return paths
