"""Faults are drawn from the seed alone, and no role is left out."""

from __future__ import annotations

from collections import Counter

import pytest

from recache_ray.build.soak.strikes import Strike, draw_strikes
from recache_ray.config.faults import ROLES
from recache_ray.errors import BadInputError


def draw(kills: int = 24, seed: int = 0, roles: tuple[str, ...] = ROLES) -> list[Strike]:
    return draw_strikes(roles, ROLES, kills, 400.0, 6.0, seed)


@pytest.mark.parametrize("kills", [1, 8, 13, 24])
def test_every_role_comes_up_as_often_as_the_others(kills: int) -> None:
    strikes = draw(kills)
    times = Counter(strike.role for strike in strikes)
    assert len(strikes) == kills
    assert set(times) <= set(ROLES)
    assert max(times.values()) - min(times[role] for role in ROLES) <= 1


def test_they_lie_in_the_window_in_order() -> None:
    moments = [strike.at_s for strike in draw(200)]
    assert moments == sorted(moments)
    assert moments[0] >= 0 and moments[-1] <= 400
    assert all(0 <= strike.pick < 1 and 0 < strike.pause_s <= 6.0 for strike in draw(200))


def test_the_seed_decides() -> None:
    assert draw(seed=1) == draw(seed=1)
    assert draw(seed=1) != draw(seed=2)


@pytest.mark.parametrize(("roles", "says"), [(("node", "nod"), "nod is not a role"), ((), "nothing is not a role")])
def test_an_unknown_role_is_refused(roles: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadInputError, match=rf"^faults\.roles = .*{says}; choose from rollout, hung"):
        draw(roles=roles)
