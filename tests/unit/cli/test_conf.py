"""Every option of every group composes into a valid configuration, and defaults live in the dataclasses alone."""

from __future__ import annotations

import pytest
import yaml

from recache_ray.cli.catalogue import settings
from recache_ray.cli.compose import compose
from recache_ray.cli.groups import conf_dir, default_option, describe, groups
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config

BASE = to_mapping(Config())
OPTIONS = [(group, option) for group, options in groups().items() for option in options]
NEEDS = {("model", option): ["prompts.file='prompts.txt'"] for option in groups()["model"] if option != "shapes"}


def written(group: str, option: str) -> dict:
    values = yaml.safe_load((conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8"))
    others = [name for name in values.pop("defaults", ()) if isinstance(name, str) and name != "_self_"]
    return {name: value for other in others for name, value in written(group, other).items()} | values


def flat(values: dict, prefix: str = "") -> dict:
    found: dict = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def test_nothing_chosen_is_the_dataclass_defaults() -> None:
    assert load_config(compose("config", BASE, [])) == Config()


def test_every_experiment_loads_on_a_fresh_start() -> None:
    for option in groups()["experiment"]:
        made = load_config(compose("config", BASE, [f"experiment={option}"]))
        assert made.run.dir != Config().run.dir
        assert (made.model.num_steps == Config().model.num_steps) == (made.references.dir == Config().references.dir)


def test_an_existing_run_is_taken_as_it_is() -> None:
    saved = {**BASE, "mechanism": {"kind": "newton", "order": 3}, "tracking": {**BASE["tracking"], "mlflow": False}}
    assert compose("existing_run", saved, []) == saved


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_loads_and_takes_effect(group: str, option: str) -> None:
    made = compose("existing_run", BASE, [f"{group}={option}", *NEEDS.get((group, option), [])])
    load_config(made)
    wanted = flat(written(group, option), "" if group == "experiment" else f"{group}.")
    assert wanted
    assert {path: flat(made)[path] for path in wanted} == wanted


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_names_existing_settings_and_says_what_it_is(group: str, option: str) -> None:
    prefix = "" if group == "experiment" else f"{group}."
    assert set(flat(written(group, option), prefix)) <= set(settings())
    assert describe(group, option)


@pytest.mark.parametrize("group", [group for group in groups() if group != "experiment"])
def test_options_of_a_group_set_the_same_keys(group: str) -> None:
    """Else choosing one on top of a run that chose another would leave parts of the other behind."""
    assert len({frozenset(written(group, option)) for option in groups()[group]}) == 1


def test_both_starting_points_know_every_group() -> None:
    for primary in ("config", "existing_run"):
        text = yaml.safe_load((conf_dir() / f"{primary}.yaml").read_text(encoding="utf-8"))
        named = {
            key.removeprefix("optional ") for entry in text["defaults"] if isinstance(entry, dict) for key in entry
        }
        assert named == set(groups())
    assert default_option("experiment") == "null"
    assert all(default_option(group) in options for group, options in groups().items() if group != "experiment")


@pytest.mark.parametrize(
    ("group", "short", "long"), [("model", "flux", "flux_dev"), ("mechanism", "taylor", "taylor1")]
)
def test_short_names_are_the_long_ones(group: str, short: str, long: str) -> None:
    one, other = (compose("existing_run", BASE, [f"{group}={option}"]) for option in (short, long))
    assert one == other
