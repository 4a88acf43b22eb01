"""Tokenizers and text lengths: what the transformer was trained to expect."""

import random

import pytest

from recache_ray.diffusion.embedded_training.tokenizers import clip_tokenizer, t5_tokenizer
from recache_ray.diffusion.shapes import MAX_SEQUENCE_LENGTH
from recache_ray.diffusion.shapes.data import token_ids
from recache_ray.diffusion.shapes.scene import caption, sample_scene, vocabulary_words

WORDS = vocabulary_words()


def test_every_word_of_the_grammar_is_one_token() -> None:
    clip, t5 = clip_tokenizer(MAX_SEQUENCE_LENGTH, WORDS), t5_tokenizer(MAX_SEQUENCE_LENGTH, WORDS)
    for word in WORDS:
        assert len(clip(word).input_ids) == 3, word
        assert len(t5(word).input_ids) == 2, word


def test_the_longest_captions_fit() -> None:
    draws = random.Random(0)
    tokenizers = (clip_tokenizer(MAX_SEQUENCE_LENGTH, WORDS), t5_tokenizer(MAX_SEQUENCE_LENGTH, WORDS))
    captions = [caption(sample_scene(draws, held_out=False, two_objects=1.0)) for _ in range(100)]
    for text in captions:
        assert all(len(tokenizer(text).input_ids) <= MAX_SEQUENCE_LENGTH for tokenizer in tokenizers)
    assert [tuple(ids.shape) for ids in token_ids(tokenizers, captions)] == [(100, MAX_SEQUENCE_LENGTH)] * 2


@pytest.mark.parametrize("text", ["", "a photo of a cat!", "Ünïcode 漢字 red", "word " * 100])
def test_any_text_can_be_tokenised_and_ends_once(text: str) -> None:
    clip, t5 = clip_tokenizer(MAX_SEQUENCE_LENGTH, WORDS), t5_tokenizer(MAX_SEQUENCE_LENGTH, WORDS)
    clip_ids, t5_ids = token_ids((clip, t5), [text])
    assert clip.eos_token_id in clip_ids[0]
    assert int((t5_ids[0] == t5.eos_token_id).sum()) == 1
    assert int(clip_ids.max()) < len(clip)
    assert int(t5_ids.max()) < len(t5)
