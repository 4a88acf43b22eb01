"""The policy: for any budget a distribution over schedules, and the schedule to use.

Shapes: K budgets, T steps, E packed entries (forward edges for ``path``, free steps for the other kinds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recache_ray.errors import BadInputError
from recache_ray.policies.conditional_bernoulli import ConditionalBernoulliDistributions
from recache_ray.policies.distributions import DistributionBatch, SubsetDistribution
from recache_ray.policies.hub import PolicyHubMixin
from recache_ray.policies.path import PathDistributions
from recache_ray.policies.plackett_luce import PlackettLuceDistributions
from recache_ray.policies.prior import edge_pairs, edge_prior, step_prior
from recache_ray.policies.scores import Form, NetworkScores, TableScores
from recache_ray.schedules import Schedule, parse_budget, parse_budgets
from recache_ray.types import PolicySnapshot

_KINDS = ("path", "conditional_bernoulli", "plackett_luce")
_PARAMETERISATIONS = ("tables", "network")


class BudgetPolicy(nn.Module, PolicyHubMixin):
    """A distribution over schedules for every budget, on the CPU.

    Scores are ``logit_bound * tanh((prior + learned) / logit_bound)``: smooth, bounded, and at the start equal to a
    prior whose mode is an almost evenly spaced schedule (see :mod:`recache_ray.policies.prior`).

    Args:
        num_steps: T, at least 2.
        budgets: the budgets to train; others are served too.
        kind: ``path`` scores pairs of consecutive compute steps, ``conditional_bernoulli`` and ``plackett_luce`` steps.
        parameterisation: ``tables`` learns fastest, ``network`` carries over best to another T.
        hidden_size: width of the network; unused by tables.
        logit_bound: scores stay within plus or minus this.
        seed: initialises the network's hidden layers; unused by tables.

    Raises:
        BadInputError: if an argument is out of bounds.

    Example: ``BudgetPolicy(num_steps=20, budgets=[3, 5, 10]).schedule("x4").compute_steps``.
    """

    def __init__(
        self,
        num_steps: int,
        budgets: Sequence[int],
        kind: str = "path",
        parameterisation: str = "tables",
        hidden_size: int = 64,
        logit_bound: float = 12.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if num_steps < 2:
            raise BadInputError(f"policy num_steps = {num_steps}: must be at least 2")
        if kind not in _KINDS:
            raise BadInputError(f"policy.kind = {kind!r}: must be one of {', '.join(_KINDS)}")
        if parameterisation not in _PARAMETERISATIONS:
            raise BadInputError(
                f"policy.parameterisation = {parameterisation!r}: must be one of {', '.join(_PARAMETERISATIONS)}"
            )
        if hidden_size < 1:
            raise BadInputError(f"policy.hidden_size = {hidden_size}: must be at least 1")
        if not 0 < logit_bound < float("inf"):
            raise BadInputError(f"policy.logit_bound = {logit_bound}: must be above 0")
        self.num_steps = num_steps
        self.budgets = parse_budgets(list(budgets), num_steps)
        self.kind = kind
        self.logit_bound = logit_bound
        self._hub_mixin_config: dict[str, Any] = {
            "num_steps": num_steps,
            "budgets": list(self.budgets),
            "kind": kind,
            "parameterisation": parameterisation,
            "hidden_size": hidden_size,
            "logit_bound": logit_bound,
            "seed": seed,
        }
        self.scores: TableScores | NetworkScores
        if parameterisation == "tables":
            self.scores = TableScores(self._form, num_steps, self.budgets)
        else:
            self.scores = NetworkScores(self._form, num_steps, hidden_size, torch.Generator().manual_seed(seed))
        self.validated: Tensor
        self.register_buffer("validated", torch.zeros(num_steps, num_steps, dtype=torch.uint8))

    def distributions(self, budgets: Sequence[int] | None = None, num_steps: int | None = None) -> DistributionBatch:
        """The distributions of several budgets in one batch: the fast way to sample, score and update many.

        Args:
            budgets: repeats are dropped and order is ascending; default: the trained ones.
            num_steps: T, default the trained one.

        Raises:
            BadInputError: if a budget is outside 1..T.
        """
        num_steps = self._checked_steps(num_steps)
        chosen = self.budgets if budgets is None else parse_budgets(list(budgets), num_steps)
        prior = edge_prior if self._form == "edges" else step_prior
        packed = prior(num_steps, chosen) + self.scores(num_steps, chosen).double()
        packed = self.logit_bound * torch.tanh(packed / self.logit_bound)
        if self.kind == "conditional_bernoulli":
            return ConditionalBernoulliDistributions(packed, chosen)
        if self.kind == "plackett_luce":
            return PlackettLuceDistributions(packed, chosen)
        i, j = edge_pairs(num_steps)
        dense = packed.new_zeros(len(chosen), num_steps, num_steps + 1)
        return PathDistributions(dense.index_put((torch.arange(len(chosen))[:, None], i, j), packed), chosen)

    def distribution(self, budget: int, num_steps: int | None = None) -> SubsetDistribution:
        """The distribution over schedules of one budget.

        Raises:
            BadInputError: if the budget is outside 1..T.
        """
        return self.distributions([budget], num_steps).at(budget)

    def schedule(self, budget: int | str, num_steps: int | None = None) -> Schedule:
        """The schedule to use: the one validation chose for this budget if there is one, else the mode.

        Args:
            budget: k, or a form such as ``"x5"`` or ``"20%"`` (see :func:`recache_ray.schedules.parse_budget`).
            num_steps: T, default the trained one; a schedule that validation chose is carried over to another T by
                :meth:`recache_ray.Schedule.resampled`.

        Raises:
            BadInputError: if the budget is malformed or gives k outside 1..T.
        """
        num_steps = self._checked_steps(num_steps)
        k = parse_budget(budget, num_steps)
        if k <= self.num_steps and self.validated[k - 1, 0]:
            return Schedule.from_mask(self.validated[k - 1].tolist()).resampled(num_steps)
        with torch.no_grad():
            return self.distribution(k, num_steps).mode()

    def resampled(self, num_steps: int, budgets: Sequence[int] | None = None) -> BudgetPolicy:
        """This policy as one of another T, to be trained further there: the same k at the same noise levels.

        Its distributions and schedules are those that this policy has at ``num_steps``. The scores of a path from i to
        j of T are those of i T'/T to j T'/T of T', interpolated by tables and computed by a network.

        Args:
            num_steps: T'.
            budgets: the budgets to train; default: the trained ones up to ``num_steps``.

        Raises:
            BadInputError: if ``num_steps`` is below 2 or below every budget, or a budget is outside 1..T'.
        """
        num_steps = self._checked_steps(num_steps)
        kept = [k for k in self.budgets if k <= num_steps] if budgets is None else list(budgets)
        if budgets is None and not kept:
            raise BadInputError(
                f"num_steps = {num_steps}: below every budget of this policy, the smallest being {self.budgets[0]}; "
                "choose more steps"
            )
        chosen = parse_budgets(kept, num_steps)
        policy = BudgetPolicy(**{**self._hub_mixin_config, "num_steps": num_steps, "budgets": list(chosen)})
        policy.scores = self.scores.resampled(num_steps, chosen)
        policy.set_validated(
            {
                k: self.schedule(k, num_steps)
                for k in range(1, min(num_steps, self.num_steps) + 1)
                if self.validated[k - 1, 0]
            }
        )
        return policy

    def set_validated(self, schedules: Mapping[int, Schedule]) -> None:
        """Replace the schedules that validation chose, by budget. They are saved with the weights, not with snapshots.

        Raises:
            BadInputError: if a schedule has another T or another budget than its key.
        """
        masks = torch.zeros_like(self.validated)
        for budget, schedule in schedules.items():
            if schedule.num_steps != self.num_steps or schedule.budget != budget:
                raise BadInputError(
                    f"validated schedule {schedule}: computes {schedule.budget} of {schedule.num_steps} steps, "
                    f"must compute {budget} of {self.num_steps}"
                )
            masks[budget - 1] = torch.tensor(schedule.compute_mask)
        self.validated.copy_(masks)

    @property
    def parameters_bytes(self) -> bytes:
        """All parameters in their own order as flat little-endian float32."""
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters()])
        return flat.numpy().astype("<f4", copy=False).tobytes()

    def snapshot(self, version: int) -> PolicySnapshot:
        """What a rollout worker needs to sample from this policy as it is now."""
        return PolicySnapshot(version, dict(self._hub_mixin_config), self.parameters_bytes)

    @classmethod
    def from_snapshot(cls, snapshot: PolicySnapshot) -> BudgetPolicy:
        """The policy a snapshot was taken of, bit for bit; about a millisecond.

        Raises:
            BadInputError: if the parameters do not fit the configuration.
        """
        policy = cls(**snapshot.config)  # type: ignore[arg-type]
        sizes = [parameter.numel() for parameter in policy.parameters()]
        if len(snapshot.parameters) != 4 * sum(sizes):
            raise BadInputError(
                f"policy snapshot has {len(snapshot.parameters)} bytes of parameters, "
                f"must have {4 * sum(sizes)} for its configuration"
            )
        flat = torch.from_numpy(np.frombuffer(snapshot.parameters, dtype="<f4").astype(np.float32))
        with torch.no_grad():
            for parameter, values in zip(policy.parameters(), flat.split(sizes), strict=True):
                parameter.copy_(values.view_as(parameter))
        return policy

    @property
    def _form(self) -> Form:
        return "edges" if self.kind == "path" else "steps"

    def _checked_steps(self, num_steps: int | None) -> int:
        if num_steps is not None and num_steps < 2:
            raise BadInputError(f"num_steps = {num_steps}: must be at least 2")
        return self.num_steps if num_steps is None else num_steps
