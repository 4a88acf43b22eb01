"""Every bound of every setting holds at its edge, and settings that contradict each other are refused."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError

_BOUNDS = ("ge", "gt", "le")


def every_knob() -> Iterator[tuple[str, str, dataclasses.Field[Any]]]:
    for group in dataclasses.fields(Config):
        for knob in dataclasses.fields(getattr(Config(), group.name)):
            yield group.name, knob.name, knob


NUMERIC = [
    pytest.param(group, name, bound, knob.metadata[bound], type(knob.default), id=f"{group}.{name}-{bound}")
    for group, name, knob in every_knob()
    for bound in _BOUNDS
    if knob.metadata[bound] is not None
]
CHOICES = [
    pytest.param(group, name, knob.metadata["choices"], id=f"{group}.{name}")
    for group, name, knob in every_knob()
    if knob.metadata["choices"]
]


def test_the_defaults_are_valid_and_round_trip_through_json() -> None:
    config = load_config({})
    assert config == Config()
    assert load_config(json.loads(json.dumps(to_mapping(config)))) == config


@pytest.mark.parametrize(("group", "name", "bound", "limit", "kind"), NUMERIC)
def test_every_bound_holds_just_beyond_its_edge(group: str, name: str, bound: str, limit: float, kind: type) -> None:
    """``gt`` refuses the limit itself, ``ge`` and ``le`` the next number beyond it."""
    whole = kind in (int, tuple)  # of a list every element is bounded
    down = limit - 1 if whole else math.nextafter(limit, -math.inf)
    up = limit + 1 if whole else math.nextafter(limit, math.inf)
    outside = {"ge": down, "gt": limit, "le": up}[bound]
    with pytest.raises(BadInputError, match=rf"^{group}\.{name}.* = .*: must be (at least|above|at most) "):
        load_config({group: {name: [int(outside)] if kind is tuple else outside}})


@pytest.mark.parametrize(("group", "name", "choices"), CHOICES)
def test_every_choice_lists_the_valid_values(group: str, name: str, choices: tuple[str, ...]) -> None:
    with pytest.raises(BadInputError) as caught:
        load_config({group: {name: "nonsense"}})
    assert str(caught.value).startswith(f"{group}.{name} = 'nonsense': must be one of {', '.join(choices)}")


def test_every_setting_is_explained_and_its_default_is_within_its_bounds() -> None:
    for group, name, knob in every_knob():
        assert len(knob.metadata["doc"]) > 5, f"{group}.{name}"
        if not (knob.metadata["required"] and knob.default == ""):
            load_config({group: {name: knob.default}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning": {"budgets": "1..5"}}, r"learning\.budgets = '1\.\.5': budget 1 has a single schedule"),
        ({"learning": {"budgets": "3..21"}}, r"learning\.budgets = '3\.\.21': .* between 1 and num_steps = 20"),
        ({"learning": {"budgets": "ten"}}, r"learning\.budgets = 'ten': not a budget"),
        ({"evaluation": {"budgets": "30"}}, r"evaluation\.budgets = '30': .* num_steps = 20"),
        ({"evaluation": {"gate_budgets": "many"}}, r"evaluation\.gate_budgets = 'many': not a budget"),
        ({"model": {"num_steps": 4}}, r"learning\.budgets = '3\.\.5': .* num_steps = 4"),
        ({"runtime": {"min_workers": 3}}, r"runtime\.min_workers = 3: must be at most runtime\.num_workers = 2"),
        ({"learning": {"budgets": "x20"}}, r"learning\.budgets = 'x20': budget 1 has a single schedule"),
        ({"learning": {"budgets": "250ms,30"}}, r"learning\.budgets = '30': .* num_steps = 20"),
        ({"learning": {"budgets": "0ms"}}, r"learning\.budgets = '0ms': must be above 0"),
        ({"learning": {"budgets": ","}}, r"learning\.budgets = .*: no budget given"),
        (
            {"mechanism": {"kind": "freqca", "cut": "modules"}},
            r"mechanism\.cut = 'modules': .* set mechanism\.cut=stack",
        ),
        ({"mechanism": {"kind": "delta", "cut": "modules"}}, r"mechanism\.kind = 'delta' caches a stack of blocks"),
        ({"reward": {"frames": 2}}, r"reward\.frames = 2: a generation has model\.frames = 1; must be at most 1"),
        ({"model": {"kind": "flux"}}, r"model\.path is empty"),
        ({"model": {"kind": "flux", "path": "folder"}}, r"prompts\.file is empty"),
        ({"modle": {}}, r"^modle: unknown setting; did you mean model\?"),
        ({"model": {"num_step": 5}}, r"^model\.num_step: unknown setting; did you mean num_steps\?"),
        ({"run": {"dir": ""}}, r"^run\.dir: must be given; add run\.dir="),
    ],
)
def test_contradictions_and_typos_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        load_config(values)
    assert "\n" not in str(caught.value)


def test_times_wait_for_a_measurement() -> None:
    assert load_config({"learning": {"budgets": "250ms"}}).learning.budgets == "250ms"


def test_a_plan_needs_neither_prompts_nor_budgets_of_the_models_steps() -> None:
    values = {"model": {"kind": "flux", "path": "folder"}, "learning": {"budgets": "5..25"}}
    assert load_config(values, runs=False).learning.budgets == "5..25"
    with pytest.raises(BadInputError, match=r"model\.path is empty"):
        load_config({"model": {"kind": "flux"}}, runs=False)
