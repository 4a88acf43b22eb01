"""Lines that can be told apart."""

from __future__ import annotations

from recache_ray.evaluation.plots import POLICY_COLOUR, rival_looks


def test_no_two_rivals_look_alike() -> None:
    looks = rival_looks(f"rival {number}" for number in range(18))
    assert len(looks) == 18
    assert len({(look["color"], look["marker"], look["linestyle"]) for look in looks.values()}) == len(looks)
    assert POLICY_COLOUR not in {look["color"] for look in looks.values()}
