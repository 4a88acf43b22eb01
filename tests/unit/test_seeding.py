"""Seeds are a pure, collision-free function of their parts, the same in every process and release."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recache_ray.seeding import derive_seed

PARTS = st.lists(st.text(max_size=4) | st.integers(-3, 30), max_size=4)


@given(PARTS, PARTS)
def test_equal_parts_and_only_equal_parts_give_equal_seeds(left: list[str | int], right: list[str | int]) -> None:
    assert (derive_seed(*left) == derive_seed(*right)) == (left == right)


@given(PARTS)
def test_seeds_fit_a_torch_generator_and_an_int64_column(parts: list[str | int]) -> None:
    assert 0 <= derive_seed(*parts) < 2**63


def test_known_values_stay() -> None:
    """A change here silently changes every stored reference and every resumed run."""
    assert derive_seed() == 724655455495936113
    assert derive_seed("run", 0, "noise", 3) == 7199417250157088435


def test_an_integer_is_not_its_decimal_string() -> None:
    assert derive_seed(1) != derive_seed("1")
    assert derive_seed("ab", "c") != derive_seed("a", "bc") != derive_seed("abc")
