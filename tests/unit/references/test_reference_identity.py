"""The content key covers every field, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_samples import IDENTITY

from recache_ray.references.identity import content_key, prompt_key, request_key

VALUES = st.text(max_size=5) | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
IDENTITIES = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


@settings(max_examples=40)
@given(IDENTITIES, st.randoms())
def test_the_order_of_fields_plays_no_part(identity: dict[str, str | int | float], shuffle: object) -> None:
    items = list(identity.items())
    shuffle.shuffle(items)  # type: ignore[attr-defined]
    assert content_key(dict(items)) == content_key(identity)


@settings(max_examples=40)
@given(IDENTITIES, IDENTITIES)
def test_different_identities_have_different_keys(
    left: dict[str, str | int | float], right: dict[str, str | int | float]
) -> None:
    typed = [{name: (type(value), repr(value)) for name, value in each.items()} for each in (left, right)]
    assert (content_key(left) == content_key(right)) == (typed[0] == typed[1])


@pytest.mark.parametrize("field", sorted(IDENTITY))
def test_every_field_counts(field: str) -> None:
    changed = {**IDENTITY, field: f"{IDENTITY[field]}x"}
    assert content_key(changed) != content_key(IDENTITY)
    assert content_key({name: IDENTITY[name] for name in IDENTITY if name != field}) != content_key(IDENTITY)


def test_values_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(TypeError, match="'sizes'"):
        content_key({"sizes": [64, 64]})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="JSON"):
        content_key({"guidance": float("nan")})


def test_parts_of_a_key_cannot_run_into_each_other() -> None:
    assert request_key("s", "a", 11) != request_key("s", "a1", 1)
    assert request_key("s", "a", 1) != request_key("t", "a", 1)
    assert request_key("s", "a", 1) != prompt_key("s", "a")
