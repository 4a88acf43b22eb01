import re
from posixpath import normpath

from hypothesis import given, settings
from hypothesis import strategies as st

from recache_ray.tracking.names import MAX_NAME_LENGTH, safe_name, without_secrets

_ALLOWED = re.compile(r"[/\w.\- :]+")


@settings(max_examples=60)
@given(st.text(max_size=400))
def test_every_name_becomes_one_that_mlflow_accepts_and_stays_there(name: str) -> None:
    safe = safe_name(name)
    assert _ALLOWED.fullmatch(safe) and len(safe) <= MAX_NAME_LENGTH
    assert normpath(safe) == safe and safe != "." and not safe.startswith(("/", ".."))
    assert safe_name(safe) == safe


def test_own_metric_names_are_kept_and_bad_ones_changed_as_little_as_possible() -> None:
    for name in ("reward/lpips/mean", "policy/entropy", "eval/uniform_warm/lpips", "learning.budgets", "a b:c-d"):
        assert safe_name(name) == name
    assert safe_name("lpips/k=10") == "lpips/k_10"
    assert safe_name("../../x") == "_/_/x"
    assert safe_name("") == "_"


def test_long_names_that_differ_only_at_the_end_stay_different() -> None:
    assert safe_name("a" * 300 + "x") != safe_name("a" * 300 + "y")


def test_users_and_passwords_are_removed_from_every_uri_in_a_text() -> None:
    text = "http://ann:pa:ss@host:5000/a and 'postgresql://bob@db/x' but mail ann@host and https://host/a@b stay"
    assert without_secrets(text) == (
        "http://***@host:5000/a and 'postgresql://***@db/x' but mail ann@host and https://host/a@b stay"
    )
