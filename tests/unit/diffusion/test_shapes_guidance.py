"""Guidance in the weights: which captions are blanked, and where targets move."""

import pytest
import torch
from torch import nn

from recache_ray.diffusion.shapes.architecture import build_pipeline, build_vae
from recache_ray.diffusion.shapes.data import Examples, token_ids
from recache_ray.diffusion.shapes.guidance import BLANK_SHARE, SHARE, Guidance, strength
from recache_ray.diffusion.shapes.train_transformer import flow_loss

CAPTION = "a large red circle on the left of a blue background"


class TwoVelocities(nn.Module):
    """One constant velocity for the caption, one without it."""

    def __init__(self, blank_ids: torch.Tensor) -> None:
        super().__init__()
        self.blank_ids = blank_ids
        self.with_caption = nn.Parameter(torch.tensor(3.0))
        self.without = nn.Parameter(torch.tensor(-2.0))

    def forward(self, noisy: torch.Tensor, levels: torch.Tensor, examples: Examples) -> torch.Tensor:
        blank = (examples.t5_ids == self.blank_ids).all(dim=1).view(-1, 1, 1)
        return torch.where(blank, self.without, self.with_caption).expand_as(noisy)


@pytest.fixture(scope="module")
def tokenizers() -> tuple[Guidance, torch.Tensor, Examples]:
    pipeline = build_pipeline(build_vae().eval(), seed=0)
    words = (pipeline.tokenizer, pipeline.tokenizer_2)
    clip_ids, t5_ids = token_ids(words, [CAPTION] * 4000)
    return Guidance(pipeline), token_ids(words, [""])[1], Examples(torch.zeros(4000, 1, 1), clip_ids, t5_ids)


def test_one_caption_in_ten_is_emptied_and_the_others_stay(
    tokenizers: tuple[Guidance, torch.Tensor, Examples],
) -> None:
    guidance, blank_ids, examples = tokenizers
    changed, kept = guidance.blank_some(examples, torch.Generator().manual_seed(0))
    assert float(kept.float().mean()) == pytest.approx(1 - BLANK_SHARE, abs=0.02)
    assert torch.equal(changed.t5_ids[kept], examples.t5_ids[kept])
    assert torch.equal(changed.clip_ids[kept], examples.clip_ids[kept])
    assert torch.equal(changed.t5_ids[~kept], blank_ids.expand(int((~kept).sum()), -1))
    assert not bool((changed.clip_ids[~kept] == examples.clip_ids[~kept]).all(dim=1).any())


def test_training_settles_at_the_velocities_of_guidance_scale_two(
    tokenizers: tuple[Guidance, torch.Tensor, Examples],
) -> None:
    guidance, blank_ids, examples = tokenizers
    model = TwoVelocities(blank_ids)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    few = examples.rows(torch.arange(1000))
    data = -1.5
    few = Examples(few.latents - data, few.clip_ids, few.t5_ids)
    for step in range(300):
        optimiser.zero_grad()
        flow_loss(model, few, torch.Generator().manual_seed(step), guidance, guided=1.0).backward()
        optimiser.step()
    without = float(model.without.detach())
    assert without == pytest.approx(data, abs=0.1), "captions left out are trained on the data alone"
    model.without.requires_grad_(False).fill_(-2.5)
    for step in range(300):
        optimiser.zero_grad()
        flow_loss(model, few, torch.Generator().manual_seed(step), guidance, guided=1.0).backward()
        optimiser.step()
    scale = 1 / (1 - SHARE)
    expected = -2.5 + scale * (data - -2.5)
    assert float(model.with_caption.detach()) == pytest.approx(expected, abs=0.1)


def test_the_guidance_grows_from_nothing_to_full() -> None:
    values = [strength(progress / 100) for progress in range(101)]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[-1] == 1.0
