"""Prompt sets: disjoint, repeatable splits, and one clear line for every unusable file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recache_ray.config.prompts import PromptsConfig
from recache_ray.errors import BadInputError
from recache_ray.prompts import PromptSet

SMALL = PromptsConfig(num_train=3, num_validation=2, num_test=2)


def section_for(path: Path, content: str | bytes) -> PromptsConfig:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return PromptsConfig(file=str(path), num_train=3, num_validation=2, num_test=2)


@given(
    st.integers(7, 20).flatmap(lambda count: st.permutations([f"caption {i}" for i in range(count)])),
    st.integers(0, 3),
)
def test_splits_are_disjoint_of_the_right_sizes_and_repeatable(captions: list[str], seed: int) -> None:
    prompts = PromptSet.from_captions(captions, SMALL, seed)
    everything = [*prompts.train, *prompts.validation, *prompts.test]
    assert [len(prompts.split(name)) for name in ("train", "validation", "test")] == [3, 2, 2]
    assert len({prompt.text for prompt in everything}) == len({prompt.index for prompt in everything}) == 7
    assert all(captions[prompt.index] == prompt.text for prompt in everything)
    assert all(prompt.split == name for name in ("train", "validation", "test") for prompt in prompts.split(name))
    assert prompts == PromptSet.from_captions(captions, SMALL, seed)


def test_what_no_split_needs_is_held_out_too() -> None:
    captions = [f"caption {index}" for index in range(sum((SMALL.num_train, SMALL.num_validation, SMALL.num_test)) + 5)]
    prompts = PromptSet.from_captions(captions, SMALL, 0)
    everything = [p.text for p in (*prompts.train, *prompts.validation, *prompts.test, *prompts.rest)]
    assert len(prompts.rest) == 5 and sorted(everything) == sorted(captions)
    assert PromptSet.from_captions(captions[:-5], SMALL, 0).rest == ()


def test_the_seed_and_nothing_else_decides_the_split() -> None:
    captions = [f"caption {i}" for i in range(30)]
    texts = [{prompt.text for prompt in PromptSet.from_captions(captions, SMALL, seed).test} for seed in range(8)]
    assert len({frozenset(each) for each in texts}) > 1
    backwards = PromptSet.from_captions(captions[::-1], SMALL, 0)
    assert {prompt.text for prompt in backwards.test} == texts[0]


def test_more_training_prompts_leave_validation_and_test_as_they_were() -> None:
    captions = [f"caption {i}" for i in range(30)]
    more = PromptsConfig(num_train=20, num_validation=2, num_test=2)
    small, large = PromptSet.from_captions(captions, SMALL, 0), PromptSet.from_captions(captions, more, 0)
    assert (small.validation, small.test) == (large.validation, large.test)
    assert large.train[:3] == small.train


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_files_of_every_editor_read_alike(tmp_path: Path, newline: str, mark: bytes) -> None:
    lines = ["  ein grüner Kreis ", "", "b", "\tc", "d", "e", "   ", "f", "g"]
    section = section_for(tmp_path / "prompts.txt", mark + newline.join(lines).encode())
    read = PromptSet.from_file(section, 0)
    expected = PromptSet.from_captions(["ein grüner Kreis", "b", "c", "d", "e", "f", "g"], SMALL, 0)
    assert read == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no prompts"),
        (" \n\n", "holds no prompts"),
        (b"abc\nd\xe9f\n", r"not UTF-8, byte 0xe9 at offset 5; save the file as UTF-8"),
        (b"\xef\xbb\xbfabc\nd\xe9f\n", r"not UTF-8, byte 0xe9 at offset 8"),
        ("a\nb\n\n a \nc\nd\ne\nf\n", r"line 4 repeats the prompt of line 1 \('a'\)"),
        ("a\nb\nc\n", r"holds 3 prompts, prompts.num_train \+ num_validation \+ num_test = 7; add prompts or lower"),
    ],
)
def test_unusable_files_are_refused_in_one_line_naming_them(tmp_path: Path, content: str | bytes, message: str) -> None:
    section = section_for(tmp_path / "prompts.txt", content)
    with pytest.raises(BadInputError, match=message) as caught:
        PromptSet.from_file(section, 0)
    assert f"prompts.file = {section.file}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="No such file"):
        PromptSet.from_file(PromptsConfig(file=str(tmp_path / "absent.txt")), 0)
    with pytest.raises(BadInputError, match="Is a directory"):
        PromptSet.from_file(PromptsConfig(file=str(tmp_path)), 0)


def test_captions_must_exist_and_differ() -> None:
    with pytest.raises(BadInputError, match="captions: holds no prompts"):
        PromptSet.from_captions([], SMALL, 0)
    with pytest.raises(BadInputError, match="number 2 repeats the prompt of number 0"):
        PromptSet.from_captions(["a", "b", "a"], SMALL, 0)
