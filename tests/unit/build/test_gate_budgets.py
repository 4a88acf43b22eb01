"""Which budgets adaptive baselines are brought to."""

from __future__ import annotations

import pytest

from recache_ray.build.budgets import gate_budgets
from recache_ray.config.root import load_config
from recache_ray.errors import BadInputError


def test_all_that_are_evaluated_unless_set() -> None:
    assert gate_budgets(load_config({"evaluation": {"budgets": "3..6"}})) == (3, 4, 5, 6)
    assert gate_budgets(load_config({"evaluation": {"budgets": "3..6", "gate_budgets": "4,6"}})) == (4, 6)


def test_one_that_is_not_evaluated_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"gate_budgets = '4,9': \[9\] are not evaluated; add them"):
        gate_budgets(load_config({"evaluation": {"gate_budgets": "4,9"}}))
