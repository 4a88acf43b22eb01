"""The policy object: initial schedules, other T and budgets, snapshots, saving and loading, bad input."""

import json
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file

from recache_ray.errors import BadInputError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import Schedule
from recache_ray.types import PolicySnapshot

KINDS = ("path", "conditional_bernoulli", "plackett_luce")
VARIANTS = list(product(KINDS, ("tables", "network")))


def perturbed(policy: BudgetPolicy, seed: int = 0) -> BudgetPolicy:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return policy


def log_probs(policy: BudgetPolicy, num_steps: int | None = None) -> torch.Tensor:
    batch = policy.distributions(num_steps=num_steps)
    generator = torch.Generator().manual_seed(1)
    schedules = [schedule for budget in batch.budgets for schedule in batch.at(budget).sample(3, generator)]
    return batch.log_prob(schedules).detach()


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_an_untrained_policy_serves_almost_evenly_spaced_schedules(kind: str, parameterisation: str) -> None:
    policy = BudgetPolicy(20, range(2, 11), kind, parameterisation)
    for budget in policy.budgets:
        schedule = policy.schedule(budget)
        gaps = [later - earlier for earlier, later in pairwise((*schedule.compute_steps, 20))]
        assert schedule.budget == budget
        assert max(gaps) <= 20 / budget * 1.5 and min(gaps) >= int(20 / budget * 0.5), schedule


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_every_parameter_learns_and_scores_stay_bounded(kind: str, parameterisation: str) -> None:
    policy = perturbed(BudgetPolicy(12, [3, 6], kind, parameterisation, hidden_size=8, logit_bound=5.0))
    batch = policy.distributions()
    (batch.log_prob(batch.modes()).sum() + batch.entropy().sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.ne(0).any()), name
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(1e4)
    scores = getattr(policy.distributions(), "scores" if kind == "path" else "logits")
    assert float(scores.detach().abs().max()) <= 5.0


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_other_budgets_and_other_numbers_of_steps_are_served(kind: str, parameterisation: str) -> None:
    policy = perturbed(BudgetPolicy(12, [3, 6], kind, parameterisation, hidden_size=8))
    for num_steps in (2, 5, 12, 13, 24, 50):
        for budget in {1, 2, (num_steps + 1) // 2, num_steps}:
            schedule = policy.schedule(budget, num_steps)
            assert (schedule.num_steps, schedule.budget) == (num_steps, budget)
    distribution = policy.distribution(4, 9)
    assert bool(distribution.log_prob(distribution.sample(5, torch.Generator())).isfinite().all())


def test_tables_carry_a_learned_preference_over_to_other_steps_and_budgets() -> None:
    """Step 6 of 12 is made dear for the budgets trained: half way stays dear at T = 24 and T = 6, and at budget 5."""
    for kind in KINDS:
        policy = BudgetPolicy(12, [3, 6], kind)
        with torch.no_grad():
            if kind == "path":
                into_half_way = torch.triu_indices(12, 13, offset=1)[1] == 6
                policy.get_parameter("scores.shared")[into_half_way] = 8.0
            else:
                policy.get_parameter("scores.shared")[5] = 8.0
        for num_steps, budget in ((12, 3), (12, 5), (24, 6), (6, 3)):
            assert policy.schedule(budget, num_steps).computes(num_steps // 2), (kind, num_steps, budget)


@pytest.mark.parametrize("num_steps", [2, 7, 11, 12, 13, 24, 31])
def test_tables_are_interpolated_linearly_in_relative_position(num_steps: int) -> None:
    """Tables that are linear in (i/T, j/T) are linear at every T, where all surrounding entries are forward edges."""
    for kind in KINDS:
        policy = BudgetPolicy(12, [3], kind)
        old, new = torch.triu_indices(12, 13, offset=1), torch.triu_indices(num_steps, num_steps + 1, offset=1)
        if kind != "path":
            old, new = torch.arange(1, 12)[None], torch.arange(1, num_steps)[None]
        with torch.no_grad():
            policy.get_parameter("scores.shared").fill_(3.0)
            assert policy.scores(num_steps, (1,)).tolist()[0] == pytest.approx([3.0] * new.shape[1], abs=1e-5)
            policy.get_parameter("scores.shared").copy_((old[0] + 2 * old[-1]) / 12)
            actual = policy.scores(num_steps, (1,))[0]
        inside = (new[-1] - new[0]) * 12 >= 2 * num_steps if kind == "path" else new[0] * 12 >= num_steps
        inside &= new[0] * 12 <= 11 * num_steps
        torch.testing.assert_close(actual[inside], ((new[0] + 2 * new[-1]) / num_steps)[inside], atol=1e-5, rtol=0)


def test_an_untrained_budget_takes_the_correction_of_the_nearest_trained_one_at_every_t() -> None:
    policy = BudgetPolicy(12, [3, 9], "conditional_bernoulli")
    with torch.no_grad():
        policy.get_parameter("scores.correction")[1, 10] = 9.0
    assert not policy.schedule(4).computes(11) and policy.schedule(8).computes(11)
    for num_steps in (12, 24):
        preferred = [policy.scores(num_steps, (budget,))[0, -1].item() > 4 for budget in (2, 3, 5, 7, 9, 11)]
        assert preferred == [False, False, False, True, True, True]


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_batched_and_single_budgets_agree(kind: str, parameterisation: str) -> None:
    policy = perturbed(BudgetPolicy(15, [2, 4, 7, 15], kind, parameterisation))
    batch = policy.distributions([7, 4, 4])
    assert batch.budgets == (4, 7)
    everything = batch.sample([4, 7] * 4, [torch.Generator().manual_seed(seed) for seed in range(8)])
    one_by_one = torch.cat([batch.log_prob([schedule]) for schedule in everything])
    torch.testing.assert_close(batch.log_prob(everything), one_by_one, atol=1e-12, rtol=0)
    for budget in (4, 7):
        single = policy.distribution(budget)
        schedules = single.sample(4, torch.Generator().manual_seed(2))
        assert schedules == batch.at(budget).sample(4, torch.Generator().manual_seed(2))
        # The network runs in float32, whose matrix products round differently with the number of rows.
        tolerance = 1e-12 if parameterisation == "tables" else 1e-5
        torch.testing.assert_close(single.log_prob(schedules), batch.log_prob(schedules), atol=tolerance, rtol=0)


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_snapshots_restore_the_policy_bit_for_bit(kind: str, parameterisation: str) -> None:
    policy = perturbed(BudgetPolicy(12, [3, 6], kind, parameterisation, hidden_size=8, seed=5))
    snapshot = policy.snapshot(17)
    assert snapshot.version == 17 and json.loads(json.dumps(snapshot.config)) == snapshot.config
    restored = BudgetPolicy.from_snapshot(snapshot)
    assert restored.parameters_bytes == policy.parameters_bytes == snapshot.parameters
    assert torch.equal(log_probs(restored), log_probs(policy))
    perturbed(policy)
    assert restored.parameters_bytes == snapshot.parameters != policy.parameters_bytes


def test_equal_seeds_build_equal_networks_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, second, other = (BudgetPolicy(8, [3], parameterisation="network", seed=seed) for seed in (4, 4, 5))
    assert first.parameters_bytes == second.parameters_bytes != other.parameters_bytes
    assert torch.equal(torch.get_rng_state(), state)


def test_sampling_in_inference_mode_leaves_the_learner_differentiable() -> None:
    with torch.inference_mode():
        for kind, parameterisation in VARIANTS:
            distribution = BudgetPolicy(11, [3], kind, parameterisation).distribution(3, num_steps=10)
            assert distribution.sample(1, torch.Generator())[0].budget == distribution.mode().budget == 3
            assert float(distribution.inclusion().sum()) == pytest.approx(3)
            assert bool(distribution.log_prob([distribution.mode()]).isfinite())
    for kind, parameterisation in VARIANTS:
        BudgetPolicy(11, [3], kind, parameterisation).distributions(num_steps=10).entropy().sum().backward()


@pytest.mark.parametrize(("kind", "parameterisation"), VARIANTS)
def test_save_and_load_keep_log_probs_and_validated_schedules(kind: str, parameterisation: str, tmp_path: Path) -> None:
    policy = perturbed(BudgetPolicy(12, (3, 6), kind, parameterisation, hidden_size=8, logit_bound=7.5, seed=2))
    chosen = Schedule(12, (0, 10, 11))
    policy.set_validated({3: chosen})
    policy.save_pretrained(tmp_path / "policy")
    assert {file.name for file in (tmp_path / "policy").iterdir()} == {"config.json", "model.safetensors", "README.md"}
    assert json.loads((tmp_path / "policy/config.json").read_text())["budgets"] == [3, 6]
    assert load_file(tmp_path / "policy/model.safetensors")["validated"].dtype == torch.uint8
    loaded = BudgetPolicy.from_pretrained(tmp_path / "policy")
    assert torch.equal(log_probs(loaded), log_probs(policy))
    assert loaded.schedule(3) == chosen
    assert loaded.schedule(6) == policy.distribution(6).mode()
    loaded.save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "policy" / name).read_bytes()


def test_the_model_card_names_the_steps_and_budgets(tmp_path: Path) -> None:
    BudgetPolicy(20, range(3, 6)).save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "20 denoising steps" in card and "[3, 4, 5]" in card and "library_name: recache_ray" in card


def test_push_to_hub_uploads_a_folder_that_loads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Created:
        repo_id = "somebody/policy"

    policy = perturbed(BudgetPolicy(8, [3]))
    loaded: list[BudgetPolicy] = []

    def upload_folder(self: HfApi, *, folder_path: Path, **_: Any) -> str:
        loaded.append(BudgetPolicy.from_pretrained(folder_path))
        return "done"

    monkeypatch.setattr(HfApi, "create_repo", lambda self, **_: Created())
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    assert policy.push_to_hub("somebody/policy") == "done"
    assert loaded[0].parameters_bytes == policy.parameters_bytes


def test_schedule_takes_every_budget_form_and_prefers_validated_ones_at_every_t() -> None:
    policy = BudgetPolicy(50, [5, 10])
    assert policy.schedule("x5") == policy.schedule("20%") == policy.schedule(10)
    chosen = Schedule(50, tuple(range(10)))
    policy.set_validated({10: chosen})
    assert policy.schedule("x5") == policy.schedule(10, num_steps=50) == chosen
    assert policy.schedule(10, num_steps=40) == chosen.resampled(40) != policy.distribution(10, 40).mode()
    assert policy.schedule(5, num_steps=40) == policy.distribution(5, 40).mode()
    policy.set_validated({})
    assert policy.schedule(10) != chosen


def edited(snapshot: PolicySnapshot, parameters: bytes) -> PolicySnapshot:
    return PolicySnapshot(snapshot.version, snapshot.config, parameters)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda policy: BudgetPolicy(1, [1]), "num_steps = 1"),
        (lambda policy: BudgetPolicy(10, [11]), "num_steps = 10"),
        (lambda policy: BudgetPolicy(10, [0]), "0"),
        (lambda policy: BudgetPolicy(10, []), "no budget"),
        (lambda policy: BudgetPolicy(10, [3], kind="paths"), "policy.kind = 'paths'"),
        (lambda policy: BudgetPolicy(10, [3], parameterisation="mlp"), "policy.parameterisation = 'mlp'"),
        (lambda policy: BudgetPolicy(10, [3], hidden_size=0), "policy.hidden_size = 0"),
        (lambda policy: BudgetPolicy(10, [3], logit_bound=float("nan")), "policy.logit_bound = nan"),
        (lambda policy: policy.schedule(0), "budget = 0"),
        (lambda policy: policy.schedule(11), "num_steps = 10"),
        (lambda policy: policy.schedule("fast"), "'fast'"),
        (lambda policy: policy.schedule("250ms"), "'250ms'"),
        (lambda policy: policy.schedule(1, num_steps=0), "num_steps = 0"),
        (lambda policy: policy.distribution(11), "11"),
        (lambda policy: policy.set_validated({3: Schedule(10, (0, 1))}), "must compute 3 of 10"),
        (lambda policy: policy.set_validated({2: Schedule(9, (0, 1))}), "must compute 2 of 10"),
        (lambda policy: BudgetPolicy.from_snapshot(edited(policy.snapshot(0), b"1234")), "4 bytes"),
    ],
)
def test_bad_input_is_one_line_naming_the_value(call: Callable[[BudgetPolicy], object], names: str) -> None:
    with pytest.raises(BadInputError) as caught:
        call(BudgetPolicy(10, [3]))
    assert names in str(caught.value) and "\n" not in str(caught.value)


def test_a_rejected_set_of_validated_schedules_changes_nothing() -> None:
    policy, chosen = BudgetPolicy(10, [3]), Schedule(10, (0, 1, 2))
    policy.set_validated({3: chosen})
    with pytest.raises(BadInputError):
        policy.set_validated({3: Schedule(10, (0, 8, 9)), 4: chosen})
    assert policy.schedule(3) == chosen


@pytest.mark.parametrize("damage", ["truncated", "other_size", "no_weights", "no_config", "no_folder"])
def test_unreadable_policies_are_refused_with_one_line(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    BudgetPolicy(10, [3]).save_pretrained(folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif damage == "other_size":
        config.write_text(config.read_text().replace('"num_steps": 10', '"num_steps": 9'))
    elif damage == "no_weights":
        weights.unlink()
    elif damage == "no_config":
        config.unlink()
    else:
        folder = tmp_path / "elsewhere"
    with pytest.raises(BadInputError) as caught:
        BudgetPolicy.from_pretrained(folder, local_files_only=True)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
