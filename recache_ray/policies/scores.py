"""The learned part of the scores: tables with one entry per edge (or step), or a small network over their features.

Both return packed scores for any number of steps and any budgets: [K, E] over the forward edges of
:func:`~recache_ray.policies.prior.edge_pairs`, or [K, T - 1] over the free steps 1..T-1. Both start at zero.

Shapes: K budgets asked for, B budgets trained, T steps, E entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from recache_ray.policies.prior import edge_pairs

Form = Literal["edges", "steps"]
_BUDGET_FEATURE: dict[Form, int] = {"edges": 3, "steps": 1}


class TableScores(nn.Module):
    """One table shared by all budgets plus a correction per trained budget.

    At a budget that was not trained, the correction of the nearest trained k serves. At another number of steps the
    tables are interpolated linearly in the relative positions (i/T, j/T), over the entries that are forward edges: the
    same k at the same noise levels, whose edges are the ones that were trained.
    """

    def __init__(self, form: Form, num_steps: int, budgets: Sequence[int]) -> None:
        super().__init__()
        self.form, self.num_steps, self.budgets = form, num_steps, tuple(budgets)
        entries = num_steps * (num_steps + 1) // 2 if form == "edges" else num_steps - 1
        self.shared = nn.Parameter(torch.zeros(entries))
        self.correction = nn.Parameter(torch.zeros(len(self.budgets), entries))

    def forward(self, num_steps: int, budgets: tuple[int, ...]) -> Tensor:
        return self._at(num_steps, self.shared + self._corrections(budgets))

    def resampled(self, num_steps: int, budgets: Sequence[int]) -> TableScores:
        """Tables of another T and other budgets that give the scores these give there."""
        scores = TableScores(self.form, num_steps, budgets)
        with torch.no_grad():
            scores.shared.copy_(self._at(num_steps, self.shared[None])[0])
            scores.correction.copy_(self._at(num_steps, self._corrections(tuple(budgets))))
        return scores

    def _corrections(self, budgets: tuple[int, ...]) -> Tensor:
        trained = self.budgets
        nearest = [min(range(len(trained)), key=lambda row: abs(trained[row] - budget)) for budget in budgets]
        return self.correction.index_select(0, torch.tensor(nearest))

    def _at(self, num_steps: int, table: Tensor) -> Tensor:
        """Tables [K, E] of this T interpolated to ``num_steps``."""
        if num_steps == self.num_steps:
            return table
        resample = _resample_edges if self.form == "edges" else _resample_steps
        corners, weights = resample(self.num_steps, num_steps)
        return (table[:, corners] * weights).sum(-1)


class NetworkScores(nn.Module):
    """A two-layer perceptron over relative positions and the budget, so it carries over to any T and budget.

    Features of an edge: i/T, j/T, ln(gap k/T), k/T0; of a step: i/T, k/T0, and where i falls between evenly spaced
    steps, as sine and cosine of 2 pi i k/T. T0 is the T it was made for, so that the same k at the same noise levels
    has the same score at every T. The output layer starts at zero. It wants a smaller Adam step than the tables: 0.01
    to 0.04.
    """

    def __init__(self, form: Form, num_steps: int, hidden_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.form, self.num_steps, self.hidden_size = form, num_steps, hidden_size
        self.hidden = nn.ModuleList([_linear(4, hidden_size, generator), _linear(hidden_size, hidden_size, generator)])
        self.output = _linear(hidden_size, 1, None)

    def forward(self, num_steps: int, budgets: tuple[int, ...]) -> Tensor:
        hidden = _features(self.form, num_steps, budgets, self.num_steps)
        for layer in self.hidden:
            hidden = torch.nn.functional.silu(layer(hidden))
        return self.output(hidden)[..., 0]

    def resampled(self, num_steps: int, budgets: Sequence[int]) -> NetworkScores:
        """A network made for another T that gives the scores this one gives there, up to rounding."""
        scores = NetworkScores(self.form, num_steps, self.hidden_size, torch.Generator())
        scores.load_state_dict(self.state_dict())
        first = scores.hidden[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            first.weight[:, _BUDGET_FEATURE[self.form]].mul_(num_steps / self.num_steps)
        return scores


def _linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """A linear layer with He-uniform weights from its own generator; zero weights without one."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.zeros_(layer.bias)
    if generator is None:
        nn.init.zeros_(layer.weight)
    else:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
    return layer


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _features(form: Form, num_steps: int, budgets: tuple[int, ...], made_for: int) -> Tensor:
    """Inputs of the network [K, E, 4], float32; ``made_for`` is T0."""
    budget = torch.tensor(budgets, dtype=torch.float64)[:, None]
    share, size = budget / num_steps, budget / made_for
    if form == "edges":
        i, j = edge_pairs(num_steps)
        columns = (i / num_steps, j / num_steps, torch.log((j - i) * share), size)
    else:
        steps = torch.arange(1, num_steps, dtype=torch.float64)
        phase = 2 * torch.pi * steps * share
        columns = (steps / num_steps, size, phase.sin(), phase.cos())
    return torch.stack(torch.broadcast_tensors(*columns), dim=-1).float()


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _resample_edges(old: int, new: int) -> tuple[Tensor, Tensor]:
    """For every edge of a ``new``-step table: the up to four surrounding ``old`` edges and their weights, both [E, 4].

    The cell of a forward edge always has one forward corner, so the weights can be normalised over forward corners.
    """
    i, j = (index.double() * old / new for index in edge_pairs(new))
    packed = torch.zeros(old + 1, old + 2, dtype=torch.long)
    valid = torch.zeros(old + 1, old + 2, dtype=torch.float64)
    rows, columns = edge_pairs(old)
    packed[rows, columns] = torch.arange(len(rows))
    valid[rows, columns] = 1.0
    corners, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            row, column = i.floor().long() + down, j.floor().long() + right
            share = (1 - (i - row).abs()).clamp(min=0) * (1 - (j - column).abs()).clamp(min=0)
            corners.append(packed[row, column])
            weights.append(share * valid[row, column])
    stacked = torch.stack(weights, -1)
    return torch.stack(corners, -1), (stacked / stacked.sum(-1, keepdim=True)).float()


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _resample_steps(old: int, new: int) -> tuple[Tensor, Tensor]:
    """For every free step of a ``new``-step table: two neighbouring ``old`` entries and their weights [T - 1, 2]."""
    position = (torch.arange(1, new, dtype=torch.float64) * old / new).clamp(1, old - 1) - 1
    low = position.floor().long()
    high = (low + 1).clamp(max=old - 2)
    share = position - low
    return torch.stack([low, high], -1), torch.stack([1 - share, share], -1).float()
