"""Which quality model a reward gets, and the settings that are refused before anything is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from recache_ray.config.reward import RewardConfig
from recache_ray.config.root import load_config
from recache_ray.errors import BadInputError
from recache_ray.rewards.quality import build_quality, quality_kind


def test_auto_needs_alpha_and_follows_the_model() -> None:
    assert quality_kind(RewardConfig(), "shapes") == "none"
    assert quality_kind(RewardConfig(alpha=7.0), "shapes") == "shapes"
    assert quality_kind(RewardConfig(alpha=7.0), "flux") == "hpsv2.1"
    assert quality_kind(RewardConfig(quality="pickscore"), "shapes") == "pickscore"  # measured though it weighs nothing
    assert build_quality(RewardConfig(), "shapes") is None


def test_the_embedded_model_is_built_and_scores() -> None:
    quality = build_quality(RewardConfig(alpha=7.0), "shapes")
    assert quality is not None
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    scores = quality(frames, "a small red star in the centre of a blue background")
    assert len(scores) == 2 and all(-1 <= score <= 1 for score in scores)


@pytest.mark.parametrize(
    ("reward", "said"),
    [
        ({"alpha": -1}, "reward.alpha = -1.0: must be at least 0"),
        ({"alpha": 2000}, "reward.alpha = 2000.0: must be at most 1000"),
        ({"quality": "hpsv2"}, "reward.quality = 'hpsv2': must be one of .* did you mean hpsv2"),
        ({"quality": "open_clip", "alpha": 1}, "reward.quality_path is empty"),
        ({"quality": "imagereward", "alpha": 1}, "reward.quality_env is empty.* make it with"),
        ({"fidelity": "none"}, "nothing is rewarded"),
        ({"frames": -1}, "reward.frames = -1"),
    ],
)
def test_unfit_settings_are_one_line(reward: dict[str, object], said: str) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        load_config({"reward": reward})
    assert "\n" not in str(caught.value)


def test_a_model_that_cannot_be_had_is_refused_when_the_reward_is_built() -> None:
    for kind in ("hpsv2.0", "hpsv2.1", "clipscore", "pickscore", "open_clip"):
        with pytest.raises(BadInputError, match=r"reward\.quality_path"):
            build_quality(RewardConfig(alpha=7.0, quality=kind, quality_path="/nowhere"), "flux")
