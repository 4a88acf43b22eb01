"""Help names what exists, with the defaults in force."""

from __future__ import annotations

import pytest

from recache_ray.cli.catalogue import nearest, sections, settings
from recache_ray.cli.groups import groups
from recache_ray.cli.help import overview, verb_help
from recache_ray.cli.overrides import hydra_overrides
from recache_ray.cli.verbs import VERBS


def test_overview_lists_every_verb() -> None:
    assert [name for name, verb in VERBS.items() if name not in overview() or verb.summary not in overview()] == []


@pytest.mark.parametrize("name", VERBS)
def test_useful_settings_exist_and_are_listed_with_their_defaults(name: str) -> None:
    verb = VERBS[name]
    short = {path: spelling for spelling, path in verb.spellings.items()}
    lines = verb_help(verb).splitlines()
    for entry in verb.useful:
        for path in sections().get(entry, (entry,)):
            shown = f"  {short.get(path, path)}={settings()[path].shown_default}"
            assert any(line.startswith(shown) for line in lines), shown


@pytest.mark.parametrize("name", VERBS)
def test_help_all_lists_every_setting_and_option(name: str) -> None:
    text = verb_help(VERBS[name], every_setting=True)
    spelled = set(VERBS[name].spellings.values())
    assert [path for path in settings() if path not in spelled and f"  {path}=" not in text] == []
    assert [
        f"{group}={option}" for group in groups() for option in groups()[group] if f"{group}={option}" not in text
    ] == []


@pytest.mark.parametrize("name", VERBS)
def test_examples_are_commands_that_parse(name: str) -> None:
    import shlex

    for example in VERBS[name].examples:
        words = shlex.split(example)
        assert " ".join(words[1:]).startswith(name)
        hydra_overrides(words[1 + len(name.split()) :], VERBS[name].spellings)


@pytest.mark.parametrize("name", VERBS)
def test_lines_fit_a_wide_terminal(name: str) -> None:
    assert max(map(len, verb_help(VERBS[name], every_setting=True).splitlines())) <= 120


def test_defaults_are_shown_as_one_would_type_them() -> None:
    for path, setting in settings().items():
        [override] = hydra_overrides([f"{path}={setting.shown_default}"], {})
        assert override.startswith(f"{path}=")


def test_spellings_lead_to_settings() -> None:
    for verb in VERBS.values():
        assert set(verb.spellings.values()) | set(verb.required) <= set(settings())


def test_nearest_looks_at_the_last_part_too() -> None:
    assert nearest("num_update", settings()) == "; did you mean learning.num_updates?"
    assert nearest("qqqqqq", settings()) == ""
