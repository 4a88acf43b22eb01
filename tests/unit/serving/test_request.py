"""What a request may ask, and that everything else is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.serving.request import Offer, PictureRequest, parse_request

TABLE = ScheduleTable(20, {3: Schedule(20, (0, 7, 14)), 5: Schedule(20, (0, 3, 7, 11, 16))})
OFFER = Offer(TABLE, 64, 48, max_prompt_chars=50)


@pytest.mark.parametrize(
    ("budget", "computed"), [(3, 3), (4, 3), (5, 5), ("x4", 5), ("25%", 5), ("4", 3), (20, 20), ("x1", 20)]
)
def test_a_budget_in_any_form_chooses_a_schedule(budget: int | str, computed: int) -> None:
    request = parse_request({"prompt": " a cat ", "seed": 7, "budget": budget, "width": 64, "num_steps": 20}, OFFER)
    wanted = Schedule.full(20) if computed == 20 else TABLE[computed]
    assert request == PictureRequest("a cat", 7, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": None}, "prompt = None: must be text"),
        ({"prompt": "  "}, "must be text"),
        ({"prompt": ["a"]}, "must be text"),
        ({"prompt": "a" * 51}, "prompt of 51 characters: at most 50"),
        ({"prompt": "a\x00b"}, "control characters"),
        ({"prompt": "\ud800"}, "not valid text at character 0"),
        ({"budget": None}, 'must be given as steps .5., "x4"'),
        ({"budget": True}, "must be given as steps"),
        ({"budget": 3.5}, "must be given as steps"),
        ({"budget": 2}, "budget = 2: outside this table, which has 3, 5"),
        ({"budget": 6}, "outside this table"),
        ({"budget": -4}, "must be between 1 and num_steps = 20"),
        ({"budget": 10**400}, "too long"),
        ({"budget": "x" + "9" * 15}, "must be between 1 and num_steps = 20"),
        ({"budget": "many"}, "not a budget; write a number of computed steps"),
        ({"budget": "9" * 5000}, "too long"),
        ({"budget": "40ms"}, "no time of a step was measured"),
        ({"seed": -1}, "seed = -1: must be a whole number from 0"),
        ({"seed": 1.5}, "must be a whole number"),
        ({"seed": 2**63}, "must be a whole number"),
        ({"width": 100_000}, "width = 100000: the schedules were learned for 64"),
        ({"height": "tall"}, "height = 'tall': the schedules were learned for 48"),
        ({"num_steps": 50}, "num_steps = 50: the schedules were learned for 20"),
        ({"promt": "a"}, "promt: unknown field; did you mean prompt"),
        ({"x" * 5000: 1}, "unknown field"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_short_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        parse_request({"prompt": "a cat", "budget": 3, **change}, OFFER)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["prompt", "budget", "seed", "width", "height"]), JSON) | JSON)
def test_any_json_gives_a_request_that_fits_or_a_reason(document: Any) -> None:
    try:
        request = parse_request(document, OFFER)
    except BadInputError as error:
        assert str(error)
    else:
        assert request.schedule.budget in (3, 5, 20) and 0 < len(request.prompt) <= 50 and request.seed >= 0
