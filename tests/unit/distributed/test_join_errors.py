"""Each way of not joining a cluster has its remedy."""

from __future__ import annotations

import pytest
from ray.exceptions import AuthenticationError

from recache_ray.distributed.join_errors import why_not_joined

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.59.0
    Python: 3.12.4
This process on 10.0.0.7 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            RuntimeError(MISMATCH),
            "it has Ray 2.59.0 and Python 3.12.4, this process Ray 2.60.0 and Python 3.11.7; use the same on both",
        ),
        (
            AuthenticationError("Token authentication is enabled but no authentication token was found"),
            "there is no token here; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH",
        ),
        (
            AuthenticationError("Token authentication is enabled but Ray couldn't find an authentication token"),
            "there is no token here; set RAY_AUTH_MODE=token",
        ),
        (
            ConnectionError("Could not find any\nrunning Ray instance."),
            "no Ray cluster can be joined there (Could not find any running Ray instance.); start one with ray start",
        ),
    ],
)
def test_the_remedy_fits(error: Exception, says: str) -> None:
    assert why_not_joined(error).startswith(says)


def test_a_refused_token_is_told_from_one_that_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuthenticationError, "__str__", lambda self: f"{self.message} Note: is currently 'disabled'")
    assert why_not_joined(AuthenticationError("x")).startswith("the cluster asks for a token; set RAY_AUTH_MODE=token")
    monkeypatch.setattr(AuthenticationError, "__str__", lambda self: self.message)
    assert why_not_joined(AuthenticationError("x")).startswith("the cluster refuses the token from here; set RAY_AUTH")
