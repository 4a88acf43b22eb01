"""Tokenizers of small grammars: every word is one token, anything else falls apart into letters."""

from __future__ import annotations

import string
from collections import Counter
from itertools import pairwise

from transformers import CLIPTokenizer, T5Tokenizer

CLIP_START, CLIP_END, CLIP_UNKNOWN = "<|startoftext|>", "<|endoftext|>", "<|unknown|>"
_CHARACTERS = string.ascii_lowercase + string.digits + ".,;:!?'-"
_WORD_END = "</w>"
_WORD_START = "▁"


def clip_tokenizer(max_tokens: int, words: tuple[str, ...]) -> CLIPTokenizer:
    """Byte-pair tokenizer that knows each of `words`; pads with the end token, as CLIP does."""
    merges = _merges(words)
    pieces = [*_CHARACTERS, *(character + _WORD_END for character in _CHARACTERS)]
    pieces += [left + right for left, right in merges]
    vocabulary = {piece: index for index, piece in enumerate([CLIP_START, CLIP_END, CLIP_UNKNOWN, *pieces])}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        unk_token=CLIP_UNKNOWN,
        bos_token=CLIP_START,
        eos_token=CLIP_END,
        pad_token=CLIP_END,
        model_max_length=max_tokens,
    )


def t5_tokenizer(max_tokens: int, words: tuple[str, ...]) -> T5Tokenizer:
    """Unigram tokenizer: a whole word is likelier than its letters, so known `words` stay whole."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -30.0), (_WORD_START, -8.0)]
    pieces += [(_WORD_START + word, -1.0) for word in words]
    pieces += [(_WORD_START + "A", -1.0)]  # it keeps case, and captions may start a sentence
    pieces += [(character, -8.0) for character in _CHARACTERS]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=max_tokens)


def _merges(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until every word is one piece."""
    spellings = [[*word[:-1], word[-1] + _WORD_END] for word in words]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for spelling in spellings for pair in pairwise(spelling))
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spellings = [_merge(spelling, best) for spelling in spellings]


def _merge(spelling: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for piece in spelling:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
