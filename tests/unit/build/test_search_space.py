"""Search spaces are read, checked against the settings they name, and applied."""

from __future__ import annotations

import pytest

from recache_ray.build.search_space import Dimension, given_values, parse_space, with_values
from recache_ray.cli.compose import compose
from recache_ray.cli.groups import groups
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config, load_config
from recache_ray.errors import BadInputError


def config(*space: str) -> Config:
    return load_config({"sweep": {"space": list(space)}})


def test_every_form_is_read() -> None:
    space = parse_space(
        config(
            "learning.learning_rate=loguniform(0.02, 0.6)",
            "learning.importance_clip = uniform(1,3)",
            "learning.siblings=integer(4,16)",
            "policy.kind=choice(path,plackett_luce)",
        )
    )
    assert space == (
        Dimension("learning.learning_rate", "loguniform", (0.02, 0.6)),
        Dimension("learning.importance_clip", "uniform", (1, 3)),
        Dimension("learning.siblings", "integer", (4, 16)),
        Dimension("policy.kind", "choice", ("path", "plackett_luce")),
    )
    assert given_values(Config(), space)["policy.kind"] == "path"


def test_values_replace_settings_and_are_checked_like_them() -> None:
    changed = with_values(Config(), {"learning.siblings": 4, "run.seed": 3})
    assert (changed.learning.siblings, changed.run.seed, changed.learning.tasks_per_update) == (4, 3, 2)
    with pytest.raises(BadInputError, match=r"^learning\.siblings = 1: must be at least 2"):
        with_values(Config(), {"learning.siblings": 1})


@pytest.mark.parametrize("option", groups()["sweep"])
def test_every_option_of_the_group_is_a_space(option: str) -> None:
    made = load_config(compose("config", to_mapping(Config()), [f"sweep={option}"]))
    assert len(parse_space(made)) == len(made.sweep.space)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ((), r"sweep\.space is empty: nothing to search"),
        (("learning.siblings",), r"'learning.siblings' cannot be read; write NAME="),
        (("learning.siblings=normal(1,2)",), r"cannot be read"),
        (("learning.sibling=integer(4,8)",), r"learning\.sibling: unknown setting"),
        (("prompts.num_test=integer(4,100)",), r"prompts\.num_test: would change what trainings are judged by"),
        (("learning.siblings=integer(1,8)",), r"^learning\.siblings = 1: must be at least 2"),
        (("learning.siblings=uniform(4,8)",), r"is a whole number; write learning\.siblings=integer\(4,8\)"),
        (("learning.siblings=integer(4,8.5)",), r"needs two ascending whole numbers"),
        (("learning.learning_rate=uniform(0.5,0.05)",), r"needs two ascending numbers"),
        (("learning.entropy_weight=loguniform(0,1)",), r"must begin above 0"),
        (("policy.kind=choice(path)",), r"needs at least two values"),
        (("policy.kind=choice(path,paths)",), r"^policy\.kind = 'paths': must be one of"),
        (
            ("learning.learning_rate=uniform(0.2,0.5)",),
            r"^learning\.learning_rate = 0\.1: outside uniform",
        ),
        (("policy.kind=choice(plackett_luce,conditional_bernoulli)",), r"^policy\.kind = path: outside choice"),
        (("learning.siblings=integer(4,8)",) * 2, r"learning\.siblings is named 2 times"),
    ],
)
def test_what_cannot_be_searched_is_refused(space: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        parse_space(config(*space))
