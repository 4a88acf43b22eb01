"""The published JSON Schema accepts what is written and refuses what a loader would stumble over."""

from __future__ import annotations

import json
import random
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from recache_ray.schedules import Schedule, ScheduleTable
from recache_ray.schedules.schema import SCHEMA_VERSION

SCHEMA = json.loads((files("recache_ray.schedules") / "schedules.schema.json").read_text(encoding="utf-8"))


def random_table(generator: random.Random) -> ScheduleTable:
    num_steps = generator.randint(3, 60)
    rows = {
        budget: Schedule.from_steps(num_steps, (0, *generator.sample(range(1, num_steps), budget - 1)))
        for budget in generator.sample(range(1, num_steps + 1), 3)
    }
    return ScheduleTable(
        num_steps,
        rows,
        {"id": "m", "forwards_per_step": generator.choice((1, 2)), "height": 64},
        {"id": "taylor1", "kind": "taylor", "order": 1},
        {budget: {"lpips": generator.random()} for budget in rows},
        {"seed": 0},
    )


def test_the_schema_is_itself_valid_and_of_the_version_written() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema_version"]["const"] == SCHEMA_VERSION


def test_every_table_that_is_written_fits() -> None:
    generator = random.Random(0)
    for _ in range(30):
        jsonschema.validate(random_table(generator).to_json(), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 1},
        {"digest": "0"},
        {"num_steps": 0},
        {"schedules": {"3": [1, 2, 4]}},
        {"schedules": {"2": [0, 0]}},
        {"schedules": {"three": [0, 1, 2]}},
        {"schedules": {"2": []}},
        {"model": {"forwards_per_step": 3}},
        {"metrics": {"2": {"lpips": "low"}}},
    ],
)
def test_what_is_broken_does_not_fit(change: dict[str, Any]) -> None:
    document = {**random_table(random.Random(1)).to_json(), **change}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)
