"""What the shell hands over reaches the setting unchanged, or is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from recache_ray.cli.compose import compose
from recache_ray.cli.overrides import hydra_overrides
from recache_ray.cli.verbs import VERBS
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError

BASE = to_mapping(Config())
SHORT = VERBS["generate"].spellings
# the shell cannot pass a zero byte or an undecodable one
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30) | st.text(
    "'\"\\${}=, x?", max_size=12
)


def composed(*arguments: str) -> dict:
    return compose("config", BASE, hydra_overrides(arguments, SHORT))


def arrives(argument: str) -> object:
    """What Hydra's parser and OmegaConf make of one argument, a hundred times faster than composing."""
    [override] = hydra_overrides([argument], SHORT)
    parsed = OverridesParser.create().parse_override(override)
    assert not parsed.is_sweep_override()
    made = OmegaConf.create({"mechanism": {"kind": "taylor"}, "run": {"seed": 0}, "setting": parsed.value()})
    return OmegaConf.to_container(made, resolve=True)["setting"]  # type: ignore[call-overload,index]


def is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


@settings(max_examples=30)
@given(TEXT.filter(lambda text: not is_quoted(text)))
@example("a small blue circle, on the right of a black background")
@example("2024")
@example("null")
@example("???")
@example("cost: ${run.seed} \\${x} \\\\${y} {a: [1, 2]}")
@example("it's a \\'star\\\\' \\")
@example("line\nbreak")
@example("~/home")
def test_any_prompt_arrives_as_typed(text: str) -> None:
    assert arrives(f"prompt={text}") == text


def test_composing_treats_a_prompt_the_same() -> None:
    text = "it's ${run.seed}, \\\\${x} ???"
    assert composed(f"prompt={text}", "run.dir=???")["generate"]["prompt"] == text


@pytest.mark.parametrize("typed", ["'a, b'", '"a, b"'])
def test_quotes_in_the_manner_of_hydra_are_taken_off(typed: str) -> None:
    assert arrives(f"prompt={typed}") == "a, b"
    assert arrives(f"run.dir={typed}") == "a, b"


@pytest.mark.parametrize(("typed", "value"), [("2024", "2024"), ("1e3", "1e3"), ("off", "off"), ("a b,c=d", "a b,c=d")])
def test_text_is_never_read_as_a_number_or_a_sweep(typed: str, value: str) -> None:
    assert arrives(f"run.dir={typed}") == value


def test_text_settings_may_refer_to_others_and_to_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert arrives("run.dir=runs/${mechanism.kind}_${run.seed}") == "runs/taylor_0"
    assert arrives("run.dir=~/x") == str(Path("/home/someone/x"))


@pytest.mark.parametrize("typed", ["3,5,8", "[3,5,8]", "3..8", "8"])
def test_budgets_stay_text(typed: str) -> None:
    assert arrives(f"learning.budgets={typed}") == typed


@pytest.mark.parametrize(("typed", "value"), [("6", 6), ("x3", "x3"), ("30%", "30%"), ("250ms", "250ms")])
def test_one_budget_is_a_number_or_text(typed: str, value: int | str) -> None:
    assert arrives(f"budget={typed}") == value


@pytest.mark.parametrize("typed", ["uniform,random", "[uniform,random]", "[uniform, random]"])
def test_lists_need_no_brackets(typed: str) -> None:
    assert arrives(f"evaluation.baselines={typed}") == ["uniform", "random"]


def test_numbers_and_switches_keep_their_type() -> None:
    made = composed("model.num_steps=12", "learning.learning_rate=1e-3", "tracking.mlflow=false", "seed=5")
    assert made["model"]["num_steps"] == 12
    assert made["learning"]["learning_rate"] == 1e-3
    assert made["tracking"]["mlflow"] is False
    assert made["generate"]["seed"] == 5


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("learning.budget=3", ["learning.budget:", "did you mean learning.budgets?"]),
        ("num_steps=3", ["num_steps:", "did you mean model.num_steps?"]),
        ("mechanism=tayler1", ["mechanism=tayler1", "did you mean taylor1?", "newton2", "mechanism.kind"]),
        ("prompts=mine.txt", ["prompts=mine.txt", "set prompts.file itself"]),
        ("experiment=nightly", ["experiment=nightly", "smoke"]),
        ("run=3", ["run=3", "run.dir", "run.seed"]),
        ("zzz=1", ["zzz", "unknown setting", "--help"]),
        ("verbose", ["verbose", "name=value"]),
        ("=3", ["=3", "name=value"]),
        ("", ["name=value"]),
        ("--gpu=3", ["--gpu", "without dashes"]),
        ("+model.num_steps=3", ["+model.num_steps", "write model.num_steps=value"]),
        ("~model.num_steps", ["~model.num_steps", "name=value"]),
        ("model.num_steps=[1", ["model.num_steps", "[1", "brackets"]),
        ("model.num_steps=10,20", ["model.num_steps", "10,20", "several values"]),
        ("model.num_steps=range(1,4)", ["model.num_steps", "several values"]),
        ("run.dir=${no.such}", ["run.dir", "no.such"]),
        ("run.dir=${unclosed", ["run.dir"]),
    ],
)
def test_mistakes_are_named_in_one_line(typed: str, says: list[str]) -> None:
    with pytest.raises(BadInputError) as caught:
        composed(typed)
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in says if part not in message] == []
