import pytest

from recache_ray.baselines.cache_dit import PRESETS, cache_dit, cache_dit_masks
from recache_ray.errors import BadInputError


@pytest.mark.parametrize(
    ("num_steps", "budget", "mask"),
    [
        (28, 18, "1111111101110011100110010001"),
        (28, 15, "1111110110001100011000110001"),
        (28, 11, "1111110100010000100000100001"),
        (28, 8, "1111001000001000000100000001"),
        (50, 20, "11111111111001100000110000000110000000001100000001"),
        (9, 6, "111101001"),
        (8, 4, "11001001"),
    ],
)
def test_published_presets(num_steps: int, budget: int, mask: str) -> None:
    assert str(cache_dit(num_steps, budget)) == mask


def test_masks_fit_every_number_of_steps_and_end_computed() -> None:
    for num_steps in range(8, 121):
        masks = cache_dit_masks(num_steps)
        assert 3 <= len(masks) <= len(PRESETS)
        for budget, mask in masks.items():
            assert (mask.num_steps, mask.budget) == (num_steps, budget)
            assert mask.computes(num_steps - 1)


def test_presets_at_28_steps_are_their_runs() -> None:
    for computed, cached in PRESETS.values():
        assert sum(computed) + sum(cached) == 28
        assert cache_dit(28, sum(computed)).budget == sum(computed)


def test_a_budget_no_preset_has_names_those_there_are() -> None:
    with pytest.raises(BadInputError, match=r"budget = 5: its presets compute 8, 11, 15, 18 of 28 steps"):
        cache_dit(28, 5)
    with pytest.raises(BadInputError, match="its presets start at 8 steps"):
        cache_dit_masks(7)
