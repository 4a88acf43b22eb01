"""The list of families is one list, wherever it is written down."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import recache_ray.diffusion.models as models
from recache_ray.config.embedded import EMBEDDED_KINDS
from recache_ray.config.model import ModelConfig
from recache_ray.diffusion.families import FAMILIES, family_of
from recache_ray.diffusion.guidance import GuidanceMode
from recache_ray.diffusion.production import enable
from recache_ray.errors import BadInputError
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import TINY, tiny_pipeline

CONF = Path(__file__).parents[3] / "conf" / "model"


def test_every_family_can_be_configured_and_has_a_tiny_pipeline_and_settings() -> None:
    kinds = {family.kind for family in FAMILIES}
    (choices,) = [item.metadata["choices"] for item in fields(ModelConfig) if item.name == "kind"]
    assert set(choices) == kinds | set(EMBEDDED_KINDS)
    assert set(TINY) == kinds
    written = [yaml.safe_load(file.read_text(encoding="utf-8"))["kind"] for file in CONF.glob("*.yaml")]
    assert set(written) == set(choices)
    files = {file.stem for file in Path(models.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == kinds


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_published_sizes_suit_the_pipeline(family: Any) -> None:
    """As far as it can be told without the real configuration: multiples that pipelines check themselves."""
    for file in CONF.glob("*.yaml"):
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        if values["kind"] != family.kind or "defaults" in values:  # another name for one of the others
            continue
        assert values["height"] % 16 == values["width"] % 16 == 0
        assert (values["frames"] > 1) == family.is_video
        assert (values["frames"] - 1) % 4 == 0
        assert values["max_text_tokens"] <= family.max_text_tokens
        assert family.guidance(ModelConfig(guidance_scale=values["guidance_scale"])) is family.guidance_mode


@pytest.mark.parametrize(
    ("mode", "calls", "evaluations"),
    [
        (GuidanceMode.NONE, 1, 1),
        (GuidanceMode.EMBEDDED, 1, 1),
        (GuidanceMode.TWO_CALLS, 2, 2),
        (GuidanceMode.DOUBLED_BATCH, 1, 2),
    ],
)
def test_what_a_step_costs_in_each_guidance_mode(mode: GuidanceMode, calls: int, evaluations: int) -> None:
    assert (mode.calls, mode.evaluations) == (calls, evaluations)


def test_the_embedded_model_is_a_flux() -> None:
    assert family_of("shapes") is family_of("flux")


def test_pipelines_that_one_schedule_cannot_serve_are_refused() -> None:
    with pytest.raises(BadInputError, match="has no transformer to cache; pipelines with an adapter: Flux"):
        enable(SimpleNamespace(unet=object()), Schedule.full(6))
    pipeline = tiny_pipeline("wan")
    pipeline.transformer_2 = pipeline.transformer
    with pytest.raises(BadInputError, match=r"a second transformer takes over half-way, as in Wan 2\.2"):
        enable(pipeline, Schedule.full(6))
