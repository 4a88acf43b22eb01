"""Weight files that are not whole are named before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from recache_ray.diffusion.weight_files import check_weight_files
from recache_ray.errors import BadInputError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"
    file.parent.mkdir()
    save_file({"weight": torch.arange(12.0), "bias": torch.zeros(3)}, file, metadata={"format": "pt"})
    return file


def test_whole_files_pass(weights: Path) -> None:
    check_weight_files(weights.parent.parent)


@pytest.mark.parametrize("kept", [0, 5, 20, -1])
def test_a_file_cut_anywhere_is_named(weights: Path, kept: int) -> None:
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"safetensors: .*bytes.*; delete it and download it again") as caught:
        check_weight_files(weights.parent.parent)
    assert "\n" not in str(caught.value)


def test_a_file_with_more_than_its_header_says_is_named(weights: Path) -> None:
    size = weights.stat().st_size
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(BadInputError, match=f"has {size + 1} bytes, its header says {size}"):
        check_weight_files(weights.parent.parent)


def test_a_pointer_is_not_the_weights(weights: Path) -> None:
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 23802903408\n")
    with pytest.raises(BadInputError, match="is a Git LFS pointer, not the weights"):
        check_weight_files(weights.parent.parent)


def test_a_header_that_is_no_header_is_named(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[8:12] = b"????"
    weights.write_bytes(bytes(content))
    with pytest.raises(BadInputError, match="has no readable safetensors header"):
        check_weight_files(weights.parent.parent)


def test_a_shard_that_the_index_lists_and_nobody_downloaded_is_named(weights: Path) -> None:
    index = weights.with_name(f"{weights.name}.index.json")
    index.write_text(json.dumps({"weight_map": {"weight": weights.name, "more": "part-2.safetensors"}}))
    with pytest.raises(BadInputError, match=r"part-2\.safetensors: is missing"):
        check_weight_files(weights.parent.parent)
    index.write_text("{")
    with pytest.raises(BadInputError, match="no readable index"):
        check_weight_files(weights.parent.parent)
