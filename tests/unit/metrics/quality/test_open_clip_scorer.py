"""HPS through open_clip: its cosines are those of the model's own forward, and unfit checkpoints are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import tiny_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from recache_ray.diffusion.shapes import quality_path
from recache_ray.errors import BadInputError
from recache_ray.metrics.quality import weights
from recache_ray.metrics.quality.fit import fit_longest_side
from recache_ray.metrics.quality.open_clip_scorer import HPS_FILES, OpenClipScorer
from recache_ray.metrics.quality.text_cache import TextCache


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hps")
    tiny_clip.register(folder)
    path = folder / "HPS_v2.1_compressed.pt"
    torch.save({"state_dict": tiny_clip.model().state_dict(), "epoch": 3}, path)
    return path


@pytest.fixture(scope="module")
def scorer(checkpoint: Path) -> OpenClipScorer:
    return OpenClipScorer.hps("hpsv2.1", str(checkpoint), architecture=tiny_clip.NAME)


def test_scores_are_the_cosines_of_the_models_own_forward(scorer: OpenClipScorer) -> None:
    frames = tiny_clip.frames(3)
    mean, deviation = (
        torch.tensor(v).view(3, 1, 1) for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    pixels = (fit_longest_side(frames, 56) - mean) / deviation
    with torch.no_grad():
        images, texts, _ = tiny_clip.model()(pixels, open_clip.tokenize(["a cat"]))
    expected = (images @ texts.T).flatten().tolist()
    assert scorer(frames, "a cat") == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 4) for score in expected}) == 3


def test_more_frames_than_one_batch_score_as_alone_and_prompts_matter(scorer: OpenClipScorer) -> None:
    frames = tiny_clip.frames(35)
    together = scorer(frames, "a cat")
    assert together[33:] == pytest.approx(scorer(frames[33:], "a cat"), abs=1e-5)
    assert max(abs(a - b) for a, b in zip(together, scorer(frames, "two dogs"), strict=True)) > 1e-3


def test_building_leaves_the_global_generator_alone(checkpoint: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    OpenClipScorer.hps("hpsv2.1", str(checkpoint), architecture=tiny_clip.NAME)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_and_unwrapped_or_prefixed_weights_are_understood(tmp_path: Path, scorer: OpenClipScorer) -> None:
    state = {f"module.{name}": value for name, value in tiny_clip.model().state_dict().items()}
    torch.save(state, tmp_path / HPS_FILES["hpsv2.0"])
    again = OpenClipScorer.hps("hpsv2.0", str(tmp_path), architecture=tiny_clip.NAME)
    assert again(tiny_clip.frames(2), "a cat") == scorer(tiny_clip.frames(2), "a cat")


def test_the_longer_side_fits_and_black_fills_the_rest() -> None:
    white = np.full((1, 20, 40, 3), 255, dtype=np.uint8)
    fitted = fit_longest_side(white, 56)
    assert fitted.shape == (1, 3, 56, 56)
    assert fitted[..., 14:42, :].min() == pytest.approx(1.0, abs=1e-5)
    assert fitted[..., :14, :].abs().max() == fitted[..., 42:, :].abs().max() == 0
    square = tiny_clip.frames(1, 50, 50)
    assert torch.equal(fit_longest_side(square, 50), torch.from_numpy(square).permute(0, 3, 1, 2) / 255)


def test_the_embedded_model_is_what_plain_open_clip_loads() -> None:
    ours = OpenClipScorer.from_folder(str(quality_path()))
    theirs, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{quality_path()}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{quality_path()}")
    frames = tiny_clip.frames(2, 60, 60, seed=3).repeat(2, axis=1)[:, :64, :60]
    square = np.zeros((2, 64, 64, 3), dtype=np.uint8)
    square[:, :, :60] = frames
    with torch.no_grad():
        images = theirs.eval().encode_image(torch.stack([prepare(Image.fromarray(f)) for f in square]), normalize=True)
        text = theirs.encode_text(tokenizer(["a small red star in the centre of a blue background"]), normalize=True)
    expected = (images @ text.T).flatten().tolist()
    assert ours(square, "a small red star in the centre of a blue background") == pytest.approx(expected, abs=1e-5)


def test_a_missing_checkpoint_and_an_unreachable_hub_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("Name or service not known")

    monkeypatch.setattr(weights, "hf_hub_download", offline)
    for path, said in (
        ("/nowhere/HPS_v2.1_compressed.pt", "no such file"),
        (str(tmp_path), "the folder has no HPS_v2.1_compressed.pt"),
        ("", "the hub did not give HPS_v2.1_compressed.pt.*Name or service"),
    ):
        with pytest.raises(BadInputError, match=f"reward.quality_path.*{said}") as caught:
            OpenClipScorer.hps("hpsv2.1", path, architecture=tiny_clip.NAME)
        assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_told_from_one_of_another_architecture(tmp_path: Path, checkpoint: Path) -> None:
    short = tmp_path / "short.pt"
    short.write_bytes(checkpoint.read_bytes()[:100_000])
    with pytest.raises(BadInputError, match="cut short: download it again"):
        OpenClipScorer.hps("hpsv2.1", str(short), architecture=tiny_clip.NAME)
    tensors = tmp_path / "short.safetensors"
    save_file({"a": torch.zeros(1000)}, tensors)
    tensors.write_bytes(tensors.read_bytes()[:500])
    with pytest.raises(BadInputError, match="cut short: download it again"):
        OpenClipScorer.hps("hpsv2.1", str(tensors), architecture=tiny_clip.NAME)
    other = tmp_path / "other.pt"
    state = dict(tiny_clip.model().state_dict())
    state["visual.proj"] = torch.zeros(64, 99)
    state.pop("logit_scale")
    torch.save(state, other)
    with pytest.raises(
        BadInputError, match=r"not a checkpoint of recache-tiny: logit_scale is absent.*\(64, 99\)"
    ) as e:
        OpenClipScorer.hps("hpsv2.1", str(other), architecture=tiny_clip.NAME)
    assert "\n" not in str(e.value)


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "run": Path("x")}, path)
    with pytest.raises(BadInputError, match="cannot be read as weights"):
        OpenClipScorer.hps("hpsv2.1", str(path), architecture=tiny_clip.NAME)


def test_a_folder_without_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no readable open_clip_config\.json"):
        OpenClipScorer.from_folder(str(tmp_path))


def test_the_text_cache_encodes_a_prompt_once_and_forgets_the_oldest() -> None:
    asked: list[str] = []

    def encode(prompt: str) -> torch.Tensor:
        asked.append(prompt)
        return torch.tensor([len(prompt)])

    cache = TextCache(encode, limit=2)
    for prompt in ("a", "bb", "a", "ccc", "a", "bb"):
        assert cache(prompt).item() == len(prompt)
    assert asked == ["a", "bb", "ccc", "bb"]
