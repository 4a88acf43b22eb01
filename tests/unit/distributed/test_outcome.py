"""Errors and warnings as data that crosses processes."""

from __future__ import annotations

import logging
import pickle

from recache_ray.diffusion.adapter import NonFiniteGenerationError
from recache_ray.distributed.outcome import capture
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule


def test_our_errors_come_back_as_they_were() -> None:
    for error in (BadInputError("x = 1: must be 2"), NonFiniteGenerationError([Schedule(4, (0, 2))], 3, "a cat")):

        def fail(error: Exception = error) -> None:
            raise error

        outcome = pickle.loads(pickle.dumps(capture(fail)))
        again = outcome.error.exception()
        assert type(again) is type(error)
        assert str(again) == str(error)


def test_defects_keep_one_line_and_the_traceback() -> None:
    outcome = capture(lambda: {}["missing\nkey"])
    assert outcome.error is not None
    assert outcome.error.exception() is None
    assert "\n" not in outcome.error.message
    assert outcome.error.message.startswith("KeyError")
    assert "test_outcome.py" in outcome.error.details


def test_warnings_of_this_package_travel_with_the_value() -> None:
    def work() -> int:
        logging.getLogger("recache_ray.references").warning("shard %d is damaged", 7)
        logging.getLogger("elsewhere").warning("not ours")
        return 5

    outcome = capture(work)
    assert (outcome.value, outcome.warnings) == (5, ("shard 7 is damaged",))
    assert capture(lambda: 1).warnings == ()
