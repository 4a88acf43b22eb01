"""One policy update from finished groups; owns the policy, the optimiser and the reward scales.

Shape suffixes: M rollouts of one budget, over every group of the update.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from recache_ray.config.learning import LearningConfig
from recache_ray.errors import BadInputError
from recache_ray.learning.advantages import (
    RewardScale,
    effective_sample_share,
    leave_one_out_advantages,
    truncated_weights,
)
from recache_ray.learning.log_domain import log_domain
from recache_ray.learning.reinforce import BudgetTerm, annealed_entropy_weight, max_entropy, reinforce_loss
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.types import PolicySnapshot, Rollout, RolloutGroup, UpdateStats


class Learner:
    """REINFORCE with a leave-one-out baseline over schedules of every budget.

    Args:
        policy: the policy to train.
        section: the loop's settings.
        log_costs: see rewards that are costs through their logarithm; False for a reward of several terms, which may
            happen to be negative throughout one update and not in the next.

    Attributes:
        policy: the policy being trained.
        version: number of updates applied; the next update trains towards ``version + 1``.
        dropped: stale groups left out over the whole run.
    """

    def __init__(self, policy: BudgetPolicy, section: LearningConfig, log_costs: bool = True) -> None:
        self.policy = policy
        self.section = section
        self._log_costs = log_costs
        self.version = 0
        self.dropped = 0
        self._scale = RewardScale()
        self._optimizer = torch.optim.Adam(policy.parameters(), lr=section.learning_rate)

    def snapshot(self) -> PolicySnapshot:
        """The current policy, to travel with tasks."""
        return self.policy.snapshot(self.version)

    @torch.enable_grad()
    def update(self, groups: Sequence[RolloutGroup]) -> UpdateStats:
        """Apply one gradient step and count one version, also when no group is left to learn from.

        Works within ``torch.no_grad()`` too, as an application that only ever generates has it.

        In arrival order, groups more than ``max_policy_lag`` versions old are dropped and counted.
        """
        fresh = [group for group in groups if not self._too_old(group)]
        self.dropped += len(groups) - len(fresh)
        metrics = {"policy/dropped_groups": float(len(groups) - len(fresh))}
        if fresh:
            metrics |= _rollout_metrics(fresh) | self._step(fresh)
            metrics["policy/lag"] = fmean(self.version - group.policy_version for group in fresh)
        self.version += 1
        return UpdateStats(policy_version=self.version, groups=len(fresh), metrics=metrics)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON of a checkpoint."""
        tensors = {f"policy/{name}": tensor.detach().clone() for name, tensor in self.policy.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"adam/{index}/{name}": tensor.clone() for name, tensor in moments.items()}
        snapshot = self.snapshot()
        document = {
            "version": self.version,
            "dropped": self.dropped,
            "scale": self._scale.state(),
            "policy_config": dict(snapshot.config),
        }
        return tensors, document

    def load_state(self, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
        """Take over the state of :meth:`state`.

        Raises:
            BadInputError: if the checkpoint holds another kind or size of policy.
        """
        own, stored = dict(self.snapshot().config), dict(document["policy_config"])
        for name in sorted(own.keys() | stored.keys()):
            if _plain(own.get(name)) != _plain(stored.get(name)):
                raise BadInputError(
                    f"policy.{name} = {own.get(name)!r}: the checkpoint was written with {stored.get(name)!r}; "
                    "use another run.dir or the old setting"
                )
        self.policy.load_state_dict(
            {name.removeprefix("policy/"): tensor for name, tensor in tensors.items() if name.startswith("policy/")}
        )
        moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, tensor in tensors.items():
            if name.startswith("adam/"):
                _, index, moment = name.split("/")
                moments[int(index)][moment] = tensor.clone()
        optimizer = self._optimizer.state_dict()
        self._optimizer.load_state_dict({"state": dict(moments), "param_groups": optimizer["param_groups"]})
        self.version, self.dropped = int(document["version"]), int(document["dropped"])
        self._scale.load_state(document["scale"])

    def _too_old(self, group: RolloutGroup) -> bool:
        return self.section.order == "arrival" and self.version - group.policy_version > self.section.max_policy_lag

    def _step(self, groups: Sequence[RolloutGroup]) -> dict[str, float]:
        segments = _segments(groups, self._log_costs)
        budgets = sorted({segment.budget for segment in segments})
        self._scale.observe({budget: _mean_variance(segments, budget) for budget in budgets})

        batch = self.policy.distributions(budgets)
        log_prob = batch.log_prob([rollout.schedule for segment in segments for rollout in segment.rollouts])
        advantages: dict[int, list[Tensor]] = defaultdict(list)
        log_probs: dict[int, list[Tensor]] = defaultdict(list)
        shares = []
        for segment, log_prob_M in zip(segments, log_prob.split([len(s.rollouts) for s in segments]), strict=True):
            weights_M = torch.ones(len(segment.rollouts), dtype=torch.float64)
            if segment.policy_version < self.version:
                weights_M = truncated_weights(log_prob_M, segment.behaviour_log_prob_M, self.section.importance_clip)
            advantages_M = leave_one_out_advantages(segment.rewards_M, weights_M)
            advantages[segment.budget].append(advantages_M / self._scale.scale(segment.budget))
            log_probs[segment.budget].append(log_prob_M)
            shares.append(effective_sample_share(weights_M))
        entropies = batch.entropy()
        terms = [
            BudgetTerm(
                log_prob_M=torch.cat(log_probs[budget]),
                advantages_M=torch.cat(advantages[budget]),
                entropy=entropies[row],
                max_entropy=max_entropy(batch.num_steps, budget),
            )
            for row, budget in enumerate(budgets)
        ]

        progress = self.version / max(1, self.section.num_updates)
        loss = reinforce_loss(terms, annealed_entropy_weight(self.section.entropy_weight, progress))
        self._optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.section.max_grad_norm)
        self._optimizer.step()
        return {
            "policy/entropy": fmean(float(t.entropy.detach()) / t.max_entropy if t.max_entropy else 0.0 for t in terms),
            "policy/ess": fmean(shares),
            "policy/gradient_norm": float(norm),
        }


@dataclass(frozen=True)
class _Segment:
    """The siblings of one task that share a budget, and with it a baseline; rewards in the log domain where costs."""

    budget: int
    policy_version: int
    rollouts: tuple[Rollout, ...]
    rewards_M: Tensor

    @property
    def behaviour_log_prob_M(self) -> Tensor:
        return torch.tensor([rollout.log_prob for rollout in self.rollouts], dtype=torch.float64)


def _segments(groups: Sequence[RolloutGroup], log_costs: bool) -> list[_Segment]:
    """Group by group, budgets ascending; one domain for all rewards of an update."""
    rewards = [rollout.breakdown.reward for group in groups for rollout in group.rollouts]
    if log_costs:
        rewards = log_domain(rewards)
    remaining = iter(rewards)
    segments = []
    for group in groups:
        siblings: dict[int, list[tuple[Rollout, float]]] = defaultdict(list)
        for rollout in group.rollouts:
            siblings[rollout.schedule.budget].append((rollout, next(remaining)))
        for budget in sorted(siblings):
            rollouts, values = zip(*siblings[budget], strict=True)
            segment = _Segment(budget, group.policy_version, rollouts, torch.tensor(values, dtype=torch.float64))
            segments.append(segment)
    return segments


def _mean_variance(segments: Sequence[_Segment], budget: int) -> float:
    chosen = [segment.rewards_M for segment in segments if segment.budget == budget]
    return fmean(float(rewards_M.var()) if rewards_M.numel() > 1 else 0.0 for rewards_M in chosen)


def _rollout_metrics(groups: Sequence[RolloutGroup]) -> dict[str, float]:
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    by_budget: dict[int, list[float]] = defaultdict(list)
    by_metric: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        by_budget[rollout.schedule.budget].append(rollout.breakdown.reward)
        for name, value in rollout.breakdown.metrics.items():
            by_metric[name].append(value)
    requested = sum(group.forwards_requested for group in groups)
    executed = sum(group.forwards_executed for group in groups)
    return {
        "reward/mean": fmean(rollout.breakdown.reward for rollout in rollouts),
        **{f"reward/{name}/mean": fmean(values) for name, values in sorted(by_metric.items())},
        **{f"reward/budget_{budget}": fmean(values) for budget, values in sorted(by_budget.items())},
        "rollout/forwards_saved": 1.0 - executed / requested if requested else 0.0,
        "rollout/evaluations": float(sum(group.evaluations for group in groups)),
        "rollout/memo_hits": float(sum(rollout.memoised for rollout in rollouts)),
        "rollout/seconds": sum(group.seconds for group in groups),
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
