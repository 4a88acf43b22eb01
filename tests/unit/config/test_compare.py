"""Settings that may change between the sessions of a run, and those that may not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recache_ray.config.compare import MAY_DIFFER, check_resumable, differing_settings
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError

BASE = to_mapping(Config())
ALTERNATIVES: dict[str, Any] = {
    "model.kind": "flux",
    "mechanism.kind": "reuse",
    "policy.kind": "plackett_luce",
    "learning.order": "arrival",
    "evaluation.baselines": ["random"],
}


def changed(path: str) -> dict[str, Any]:
    section, name = path.split(".")
    old = BASE[section][name]
    new = ALTERNATIVES.get(path, old + 1 if isinstance(old, int | float) else f"{old}x")
    return {**BASE, section: {**BASE[section], name: new}}


PATHS = [f"{section}.{name}" for section, values in BASE.items() for name in values]


@pytest.mark.parametrize("path", PATHS)
def test_every_setting_that_shapes_results_is_compared(path: str) -> None:
    differing = differing_settings(BASE, changed(path))
    allowed = path == "run.dir" or path.split(".")[0] in MAY_DIFFER
    assert list(differing) == ([] if allowed else [path])


def test_what_went_through_a_file_equals_itself() -> None:
    check_resumable(json.loads(json.dumps(BASE)), to_mapping(load_config(BASE)), "runs/a")


def test_a_setting_on_one_side_only_differs() -> None:
    assert differing_settings({"run": {"seed": 0}}, {"run": {}}) == {"run.seed": (0, None)}
    assert differing_settings({"run": {}}, {"run": {"seed": 0}}) == {"run.seed": (None, 0)}


def test_error_names_the_settings_both_values_and_the_remedy() -> None:
    wanted = {**BASE, "run": {"dir": "elsewhere", "seed": 7}, "learning": {**BASE["learning"], "num_updates": 99}}
    with pytest.raises(BadInputError) as caught:
        check_resumable(BASE, wanted, "runs/a")
    message = str(caught.value)
    assert "run.seed = 7 (the run has 0)" in message
    assert f"learning.num_updates = 99 (the run has {Config().learning.num_updates})" in message
    assert "run.dir" in message and "drop these overrides" in message
    assert "\n" not in message


def test_error_lists_a_few_and_counts_the_rest() -> None:
    wanted = {**BASE, "learning": dict.fromkeys(BASE["learning"])}
    with pytest.raises(BadInputError, match=f"and {len(BASE['learning']) - 3} more"):
        check_resumable(BASE, wanted, "runs/a")
