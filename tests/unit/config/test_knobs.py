"""Plain data in, typed settings out, or one line that names the dotted path, the value and the bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.config.knobs import from_mapping, knob, section, to_mapping
from recache_ray.errors import BadInputError


@dataclass(frozen=True)
class Inner:
    """A group with one knob of every kind."""

    count: int = knob(3, "items", ge=1, le=9)
    rate: float = knob(0.5, "items per second", gt=0, le=2)
    name: str = knob("x", "a name", required=True)
    kind: str = knob("path", "which", choices=("path", "tables"))
    flag: bool = knob(False, "on or off")
    words: tuple[str, ...] = knob(("a",), "a list")
    sizes: tuple[int, ...] = knob((1,), "a list with bounds", le=8)
    either: int | str = knob(1, "a number or a form")
    maybe: float | None = knob(None, "nothing or a number", ge=0)


@dataclass(frozen=True)
class Outer:
    """Groups nest."""

    inner: Inner = section(Inner)
    size: int = knob(1, "size", ge=0)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "count": st.integers(1, 9),
        "rate": st.floats(0.001, 2),
        "name": st.text(min_size=1),
        "kind": st.sampled_from(["path", "tables"]),
        "flag": st.booleans(),
        "words": st.lists(st.text()),
        "sizes": st.lists(st.integers(0, 8)),
        "either": st.integers() | st.text(),
        "maybe": st.none() | st.floats(0, 9),
    },
)


@given(VALUES, st.integers(0, 5))
def test_valid_data_round_trips(inner: dict[str, Any], size: int) -> None:
    config = from_mapping(Outer, {"inner": inner, "size": size})
    plain = to_mapping(config)
    assert from_mapping(Outer, plain) == config
    assert plain["size"] == size
    assert {name: plain["inner"][name] for name in inner} == inner
    assert set(plain["inner"]) == set(to_mapping(Inner()))


def test_defaults_fill_what_is_not_given() -> None:
    assert from_mapping(Outer, {}) == Outer()
    assert from_mapping(Outer, {"inner": {"count": 4}}).inner == Inner(count=4)


def test_an_integer_serves_as_a_float_and_becomes_one() -> None:
    rate = from_mapping(Inner, {"rate": 1}).rate
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, r"inner\.count = 0: must be at least 1 \(items\)"),
        ({"count": 10}, r"inner\.count = 10: must be at most 9 \(items\)"),
        ({"rate": 0}, r"inner\.rate = 0\.0: must be above 0 \(items per second\)"),
        ({"rate": 2.1}, r"inner\.rate = 2\.1: must be at most 2"),
        ({"rate": float("nan")}, r"inner\.rate = nan: must be"),
        ({"maybe": -0.5}, r"inner\.maybe = -0\.5: must be at least 0"),
        ({"name": ""}, r"inner\.name: must be given; add inner\.name=\.\.\. to the command"),
        ({"kind": "pth"}, r"inner\.kind = 'pth': must be one of path, tables; did you mean path\?"),
        ({"kind": "zzz"}, r"inner\.kind = 'zzz': must be one of path, tables$"),
        ({"count": "3"}, r"inner\.count = '3': is str, must be int"),
        ({"count": 3.0}, r"inner\.count = 3\.0: is float, must be int"),
        ({"count": True}, r"inner\.count = True: is bool, must be int"),
        ({"count": None}, r"inner\.count = None: is NoneType, must be int"),
        ({"rate": True}, r"inner\.rate = True: is bool, must be float"),
        ({"flag": 1}, r"inner\.flag = 1: is int, must be bool"),
        ({"words": "ab"}, r"inner\.words = 'ab': is str, must be a list, as in \[ab\]$"),
        ({"sizes": [1, 9]}, r"inner\.sizes\[1\] = 9: must be at most 8"),
        ({"words": ["a", 3]}, r"inner\.words\[1\] = 3: is int, must be str"),
        ({"either": 2.5}, r"inner\.either = 2\.5: is float, must be int or str"),
        ({"coutn": 3}, r"inner\.coutn: unknown setting; did you mean count\?"),
        ({"zzz": 3}, r"inner\.zzz: unknown setting; known here: count, rate, name"),
    ],
)
def test_bad_values_are_named_by_their_dotted_path(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        from_mapping(Outer, {"inner": values})
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_group_is_not_a_value() -> None:
    with pytest.raises(BadInputError, match=r"inner = 3: a group of settings; set one of count, rate"):
        from_mapping(Outer, {"inner": 3})
