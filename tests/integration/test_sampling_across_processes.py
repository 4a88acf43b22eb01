"""What a policy samples is the same in whichever process a rollout actor runs."""

import hashlib
import subprocess
import sys

import torch

from recache_ray.policies.policy import BudgetPolicy

KINDS = ("path", "conditional_bernoulli", "plackett_luce")


def sampled_digest(kind: str) -> str:
    """Schedules and bit patterns of their log-probabilities, as one hash."""
    policy = BudgetPolicy(50, list(range(5, 26, 5)), kind)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    policy = BudgetPolicy.from_snapshot(policy.snapshot(0))
    batch = policy.distributions()
    budgets = [budget for budget in policy.budgets for _ in range(4)]
    schedules = batch.sample(budgets, [torch.Generator().manual_seed(seed) for seed in range(len(budgets))])
    digest = hashlib.sha256("".join(map(str, schedules)).encode())
    digest.update(batch.log_prob(schedules).detach().numpy().tobytes())
    return digest.hexdigest()


def test_sampling_is_bit_identical_in_another_process_and_with_other_thread_counts() -> None:
    program = (
        f"import sys, torch; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r}); torch.set_num_threads(3)\n"
        "from test_sampling_across_processes import KINDS, sampled_digest\n"
        "print(*map(sampled_digest, KINDS))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout.split() == [sampled_digest(kind) for kind in KINDS]
