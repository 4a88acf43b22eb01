"""Every distribution against brute force over all schedules of small T."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, pairwise, permutations, product
from math import comb, factorial, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recache_ray.errors import BadInputError
from recache_ray.policies.conditional_bernoulli import ConditionalBernoulliDistributions
from recache_ray.policies.distributions import DistributionBatch
from recache_ray.policies.path import PathDistributions
from recache_ray.policies.plackett_luce import PlackettLuceDistributions
from recache_ray.schedules import Schedule

T = 7
BUDGETS = tuple(range(1, T + 1))
PHI = torch.tensor([[0.7, -0.4, 1.3, 0.1, -1.1, 0.5]], dtype=torch.float64)

Family = Callable[[Tensor, Sequence[int]], DistributionBatch]
FAMILIES: dict[str, Family] = {
    "path": PathDistributions,
    "conditional_bernoulli": ConditionalBernoulliDistributions,
    "plackett_luce": PlackettLuceDistributions,
}
# The set probability of Plackett-Luce is a quadrature; the others are exact to rounding.
TOLERANCE = {"path": 1e-12, "conditional_bernoulli": 1e-12, "plackett_luce": 1e-6}


def all_schedules(budget: int, num_steps: int = T) -> list[Schedule]:
    return [Schedule(num_steps, (0, *rest)) for rest in combinations(range(1, num_steps), budget - 1)]


def random_scores(name: str, budgets: Sequence[int], seed: int = 0, num_steps: int = T, spread: float = 1.5) -> Tensor:
    shape = (num_steps, num_steps + 1) if name == "path" else (num_steps - 1,)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(budgets), *shape, generator=generator, dtype=torch.float64) * spread


def brute_log_prob(name: str, scores: Tensor, schedules: Sequence[Schedule]) -> Tensor:
    """Straight from the definitions, for the scores of one budget."""
    if name == "plackett_luce":
        totals = [torch.logsumexp(torch.stack([ordered(scores, order) for order in orders(s)]), 0) for s in schedules]
        return torch.stack(totals)
    unnormalised = []
    for schedule in schedules:
        steps = (*schedule.compute_steps, schedule.num_steps)
        if name == "path":
            unnormalised.append(sum((scores[i, j] for i, j in pairwise(steps)), scores.sum() * 0))
        else:
            unnormalised.append(sum((scores[step - 1] for step in steps[1:-1]), scores.sum() * 0))
    stacked = torch.stack(unnormalised)
    return stacked - stacked.logsumexp(0)


def orders(schedule: Schedule) -> list[tuple[int, ...]]:
    return list(permutations(schedule.compute_steps[1:]))


def ordered(logits: Tensor, order: Sequence[int]) -> Tensor:
    total, remaining = torch.tensor(0.0, dtype=torch.float64), list(range(1, len(logits) + 1))
    for step in order:
        total = total + logits[step - 1] - torch.logsumexp(logits[[other - 1 for other in remaining]], 0)
        remaining.remove(step)
    return total


@pytest.mark.parametrize("name", FAMILIES)
def test_log_prob_inclusion_and_mode_match_enumeration(name: str) -> None:
    budgets = BUDGETS if name != "plackett_luce" else (1, 2, 3, 4, 5, 7)
    scores = random_scores(name, budgets)
    batch = FAMILIES[name](scores, budgets)
    for row, budget in enumerate(budgets):
        schedules = all_schedules(budget)
        expected = brute_log_prob(name, scores[row], schedules)
        log_prob = batch.log_prob(schedules)
        torch.testing.assert_close(log_prob, expected, atol=TOLERANCE[name], rtol=0)
        assert float(log_prob.exp().sum()) == pytest.approx(1, abs=TOLERANCE[name])
        masks = torch.tensor([schedule.compute_mask for schedule in schedules], dtype=torch.float64)
        inclusion = batch.inclusion()[row]
        torch.testing.assert_close(inclusion, expected.exp() @ masks, atol=1e-9, rtol=0)
        assert float(inclusion.sum()) == pytest.approx(budget, abs=1e-9)
        mode = batch.modes()[row]
        assert float(batch.log_prob([mode])) == pytest.approx(float(expected.max()), abs=TOLERANCE[name])
        view = batch.at(budget)
        assert view.budget == budget and view.mode() == mode
        torch.testing.assert_close(view.log_prob(schedules), log_prob, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["path", "conditional_bernoulli"])
def test_entropy_and_all_gradients_match_enumeration(name: str) -> None:
    scores = random_scores(name, BUDGETS, spread=2.0).requires_grad_()
    batch = FAMILIES[name](scores, BUDGETS)
    entropy = batch.entropy()
    for row, budget in enumerate(BUDGETS):
        schedules = all_schedules(budget)
        brute = brute_log_prob(name, scores[row], schedules)
        brute_entropy = -(brute.exp() * brute).sum()
        assert entropy[row].item() == pytest.approx(brute_entropy.item(), abs=1e-12)
        chosen = torch.linspace(-1, 1, len(schedules), dtype=torch.float64)
        for exact, reference in ((entropy[row], brute_entropy), (batch.log_prob(schedules) @ chosen, brute @ chosen)):
            (gradient,) = torch.autograd.grad(exact, scores, retain_graph=True)
            (expected,) = torch.autograd.grad(reference, scores, retain_graph=True)
            torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=0)


def test_path_gradients_pass_gradcheck_for_several_budgets_together() -> None:
    scores = random_scores("path", (2, 3, 5), num_steps=5).requires_grad_()
    schedules = [Schedule(5, (0, 2)), Schedule(5, (0, 1, 4)), Schedule.full(5)]

    def sums(values: Tensor) -> tuple[Tensor, Tensor]:
        batch = PathDistributions(values, (2, 3, 5))
        return batch.log_prob(schedules), batch.entropy()

    assert torch.autograd.gradcheck(sums, (scores,))


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=25)
@given(
    num_steps=st.integers(2, 8),
    budget_share=st.floats(0, 1),
    seed=st.integers(0, 2**31),
    spread=st.sampled_from([0.0, 1.0, 12.0, 100.0]),
)
def test_probabilities_stay_proper_and_gradients_finite_for_any_scores(
    name: str, num_steps: int, budget_share: float, seed: int, spread: float
) -> None:
    budget = 1 + round(budget_share * (num_steps - 1))
    scores = random_scores(name, (budget,), seed, num_steps).tanh().mul(spread).requires_grad_()
    batch = FAMILIES[name](scores, (budget,))
    schedules = all_schedules(budget, num_steps)
    log_prob = batch.log_prob(schedules)
    assert float(log_prob.detach().exp().sum()) == pytest.approx(1, abs=1e-6)
    entropy = batch.entropy()
    if name != "plackett_luce":
        assert -1e-9 <= float(entropy.detach()) <= log(comb(num_steps - 1, budget - 1)) + 1e-9
    (log_prob.sum() + entropy.sum()).backward()
    assert scores.grad is not None and bool(scores.grad.isfinite().all())
    assert batch.modes()[0].budget == budget
    for schedule in batch.at(budget).sample(3, torch.Generator().manual_seed(seed)):
        assert schedule.budget == budget and schedule.num_steps == num_steps


def test_extreme_scores_at_full_size_give_finite_gradients() -> None:
    budgets = tuple(range(5, 51, 5))
    scores = random_scores("path", budgets, num_steps=50).sign().mul(100).requires_grad_()
    batch = PathDistributions(scores, budgets)
    (batch.entropy().sum() + batch.log_prob(batch.modes()).sum()).backward()
    assert scores.grad is not None and bool(scores.grad.isfinite().all())
    assert bool((batch.entropy() >= 0).all()) and bool((batch.log_prob(batch.modes()) <= 0).all())


@pytest.mark.parametrize("name", FAMILIES)
def test_budgets_one_and_all_have_one_schedule(name: str) -> None:
    scores = random_scores(name, (1, T)).requires_grad_()
    batch = FAMILIES[name](scores, (1, T))
    only = (Schedule(T, (0,)), Schedule.full(T))
    assert batch.modes() == only
    assert batch.log_prob(only).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert batch.entropy().tolist() == pytest.approx([0, 0], abs=1e-12)
    assert batch.sample((1, T), [torch.Generator()] * 2) == list(only)
    batch.log_prob(only).sum().backward()
    assert scores.grad is not None and float(scores.grad.abs().max()) <= 1e-12


def test_a_path_that_scores_only_the_next_step_is_conditional_bernoulli() -> None:
    """Against the elementary symmetric polynomial itself, which shares no code with the recursion."""
    batch = ConditionalBernoulliDistributions(random_scores("conditional_bernoulli", BUDGETS), BUDGETS)
    for row, budget in enumerate(BUDGETS):
        weights = batch.logits[row].exp().tolist()
        polynomial = [1.0] + [0.0] * (T - 1)
        for weight in weights:
            polynomial = [1.0] + [polynomial[r] + weight * polynomial[r - 1] for r in range(1, T)]
        assert float(batch.log_normaliser()[row]) == pytest.approx(log(polynomial[budget - 1]), abs=1e-12)


def test_conditional_bernoulli_reproduces_the_published_figures() -> None:
    """Six free steps, three of them computed; step 0 comes on top. Twenty subsets."""
    batch = ConditionalBernoulliDistributions(PHI, (4,))
    assert float(batch.log_normaliser()) == pytest.approx(4.052261497, abs=1e-9)
    marginals = [0.650877, 0.322417, 0.789242, 0.467545, 0.176581, 0.593337]
    assert batch.inclusion()[0, 1:].tolist() == pytest.approx(marginals, abs=1e-6)
    assert float(batch.entropy()) == pytest.approx(2.550417, abs=1e-6)
    assert batch.modes() == (Schedule(7, (0, 1, 3, 6)),)


def test_plackett_luce_reproduces_the_published_figures() -> None:
    batch = PlackettLuceDistributions(PHI, (4,))
    marginals = [0.672941, 0.285036, 0.856610, 0.441009, 0.147665, 0.596739]
    assert batch.inclusion()[0, 1:].tolist() == pytest.approx(marginals, abs=1e-6)
    sets = batch.log_prob(all_schedules(4))
    assert -float((sets.exp() * sets).sum()) == pytest.approx(2.3818, abs=1e-4)
    sequences = batch.ordered_log_prob(4, list(permutations(range(1, 7), 3)))
    assert float(sequences.exp().sum()) == pytest.approx(1, abs=1e-12)
    assert -float((sequences.exp() * sequences).sum()) == pytest.approx(4.1298, abs=1e-4)
    assert batch.modes() == (Schedule(7, (0, 1, 3, 6)),)


@pytest.mark.parametrize(("name", "trace"), [("ordered", 2.112), ("set", 1.850), ("conditional_bernoulli", 1.248)])
def test_fisher_information_has_the_published_trace(name: str, trace: float) -> None:
    """Trace = E |grad log p|^2: the set form varies less than the ordered one."""
    phi = PHI.clone().requires_grad_()
    if name == "ordered":
        log_prob = PlackettLuceDistributions(phi, (4,)).ordered_log_prob(4, list(permutations(range(1, 7), 3)))
    elif name == "set":
        log_prob = PlackettLuceDistributions(phi, (4,)).log_prob(all_schedules(4))
    else:
        log_prob = ConditionalBernoulliDistributions(phi, (4,)).log_prob(all_schedules(4))
    scores = torch.stack([torch.autograd.grad(each, phi, retain_graph=True)[0][0] for each in log_prob])
    weights = log_prob.detach().exp()
    assert float(weights @ (scores**2).sum(1)) == pytest.approx(trace, abs=1e-3)
    assert float((weights @ scores).abs().max()) < 1e-6


@pytest.mark.parametrize("budget", [1, 2, 4, 7])
def test_ordered_probabilities_match_their_definition_and_sum_to_the_set(budget: int) -> None:
    batch = PlackettLuceDistributions(random_scores("plackett_luce", (budget,)), (budget,))
    for schedule in all_schedules(budget)[:4]:
        sequences = batch.ordered_log_prob(budget, orders(schedule))
        expected = torch.stack([ordered(batch.logits[0], order) for order in orders(schedule)])
        torch.testing.assert_close(sequences, expected, atol=1e-12, rtol=0)
        assert len(sequences) == factorial(budget - 1)
        torch.testing.assert_close(sequences.logsumexp(0, keepdim=True), batch.log_prob([schedule]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("num_steps", "budget"), [(50, 5), (50, 25), (100, 20), (100, 60)])
def test_set_quadrature_is_accurate_at_full_size(num_steps: int, budget: int) -> None:
    """Against the same integral with 40 times the nodes, for likely and for the least likely schedules."""
    logits = random_scores("plackett_luce", (budget,), num_steps=num_steps, spread=3.0)
    batch = PlackettLuceDistributions(logits, (budget,))
    unlikely = Schedule.from_steps(num_steps, (0, *((-logits[0]).topk(budget - 1).indices + 1).tolist()))
    schedules = [*batch.at(budget).sample(3, torch.Generator().manual_seed(0)), *batch.modes(), unlikely]
    nodes = torch.linspace(-9, 45, 10_000, dtype=torch.float64)
    for schedule, log_prob in zip(schedules, batch.log_prob(schedules).tolist(), strict=True):
        mask = torch.tensor(schedule.compute_mask[1:])
        rate = logits[0, mask] - logits[0, ~mask].logsumexp(0)
        factors = (-torch.expm1(-(rate[:, None] - nodes).exp())).log().sum(0)
        exact = float((factors - nodes - (-nodes).exp()).logsumexp(0)) + log(float(nodes[1] - nodes[0]))
        assert log_prob == pytest.approx(exact, abs=1e-5)


def test_plackett_luce_entropy_estimate_is_unbiased_in_value_and_gradient() -> None:
    """Shifting all logits changes nothing but the seed of the draws, so shifts give independent estimates."""
    base = PHI.clone().requires_grad_()
    exact_log_prob = PlackettLuceDistributions(base, (4,)).log_prob(all_schedules(4))
    exact = -(exact_log_prob.exp() * exact_log_prob).sum()
    (exact_gradient,) = torch.autograd.grad(exact, base)
    values, gradients = [], []
    for shift in range(300):
        phi = (PHI + shift / 256).requires_grad_()
        estimate = PlackettLuceDistributions(phi, (4,)).entropy()[0]
        values.append(estimate.detach())
        gradients.append(torch.autograd.grad(estimate, phi)[0][0])
    value, gradient = torch.stack(values), torch.stack(gradients)
    assert abs((value.mean() - exact).item()) < 4 * float(value.std()) / 300**0.5
    error = (gradient.mean(0) - exact_gradient[0]).abs()
    assert bool((error < 4 * gradient.std(0) / 300**0.5).all())
    assert float(gradient.std(0).max()) < 0.4, "without the leave-one-out baseline it is above 0.5"


@pytest.mark.parametrize("name", FAMILIES)
def test_bad_budgets_and_foreign_schedules_are_one_line_errors(name: str) -> None:
    batch = FAMILIES[name](random_scores(name, (2, 3)), (2, 3))
    calls: list[Callable[[], object]] = [
        lambda: batch.log_prob([Schedule(T + 1, (0, 1))]),
        lambda: batch.log_prob([Schedule(T, (0,))]),
        lambda: batch.at(3).log_prob([Schedule(T, (0, 1))]),
        lambda: batch.at(4),
        lambda: batch.sample((5,), [torch.Generator()]),
        *(partial(FAMILIES[name], random_scores(name, (2, 3)), budgets) for budgets in ((3, 2), (0, 1), (2, 9))),
    ]
    if isinstance(batch, PlackettLuceDistributions):
        calls += [partial(batch.ordered_log_prob, 3, [order]) for order in ((1,), (1, 1), (0, 1), (1, 9))]
    for call in calls:
        with pytest.raises(BadInputError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_uniform_scores_make_all_schedules_equally_likely() -> None:
    for name, budget in product(FAMILIES, (2, 4)):
        batch = FAMILIES[name](random_scores(name, (budget,), spread=0.0), (budget,))
        expected = [-log(comb(T - 1, budget - 1))] * comb(T - 1, budget - 1)
        assert batch.log_prob(all_schedules(budget)).tolist() == pytest.approx(expected, abs=1e-6)
