"""The published constants of the adaptive rivals, and how their retention gives way to small budgets."""

from __future__ import annotations

import pytest

from recache_ray.baselines.adaptive import ADAPTIVE, FROZEN, gate_at_budget, gate_mechanism
from recache_ray.caching.gates.registry import build_gate
from recache_ray.errors import BadInputError
from recache_ray.types import MechanismSpec


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("num_steps", [2, 8, 20, 50])
def test_every_gate_fits_its_model_and_leaves_steps_to_decide_about(name: str, num_steps: int) -> None:
    for budget in range(1, num_steps + 1):
        gate = gate_at_budget(name, num_steps, budget, polynomial=(1.0, 0.0))
        build_gate(gate, num_steps)
        assert 1 <= gate.warm_steps <= max(1, budget // 2)


def test_published_retention_holds_where_the_budget_allows() -> None:
    assert gate_at_budget("dicache", 50, 30).warm_steps == 11  # int(0.2 T) + 1
    assert gate_at_budget("easycache", 50, 30).warm_steps == 10
    assert gate_at_budget("dicache", 50, 10).warm_steps == 5
    assert gate_at_budget("teacache", 50, 10, (3.0, 2.0)).table == (3.0, 2.0)


def test_only_dicache_brings_a_mechanism_of_its_own() -> None:
    run = MechanismSpec("taylor", 1)
    assert [gate_mechanism(name, run).id for name in ADAPTIVE] == ["taylor1"] * 4 + ["dcta"]
    assert FROZEN == ("teacache_frozen", "easycache_frozen", "fbcache_frozen", "dicache_frozen")


def test_wrong_names_and_budgets_are_refused() -> None:
    with pytest.raises(BadInputError, match="baseline 'uniform': no gate; known: teacache"):
        gate_at_budget("uniform", 20, 5)
    with pytest.raises(BadInputError, match="budget = 21: must be between 1 and num_steps = 20"):
        gate_at_budget("fbcache", 20, 21)
