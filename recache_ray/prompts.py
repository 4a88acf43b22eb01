"""Prompt sets with disjoint train, validation and test splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recache_ray.config.prompts import PromptsConfig
from recache_ray.errors import BadInputError
from recache_ray.seeding import derive_seed
from recache_ray.types import Prompt, Split


@dataclass(frozen=True)
class PromptSet:
    """Prompts to learn from, to choose by and to report on; no text occurs twice.

    ``Prompt.index`` is the position in the source, so it is unique over all splits.

    Attributes:
        rest: what no split needed, held out like the test split.
    """

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    test: tuple[Prompt, ...]
    rest: tuple[Prompt, ...] = ()

    @classmethod
    def from_file(cls, section: PromptsConfig, seed: int) -> PromptSet:
        """Split the prompts of ``section.file``, UTF-8, one a line; blank lines are skipped.

        Raises:
            BadInputError: if the file is missing, empty, not UTF-8, repeats a prompt or has too few for the splits.
        """
        source = f"prompts.file = {section.file}"
        try:
            raw = Path(section.file).read_bytes()
        except OSError as error:
            raise BadInputError(
                f"{source}: cannot be read ({error.strerror}); give a text file, one prompt a line"
            ) from error
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInputError(
                f"{source}: not UTF-8, byte {error.object[error.start]:#04x} at offset {_offset(raw, error)}; "
                "save the file as UTF-8"
            ) from error
        numbered = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
        return _split([(f"line {number}", line) for number, line in numbered if line], section, seed, source)

    @classmethod
    def from_captions(cls, captions: Sequence[str], section: PromptsConfig, seed: int) -> PromptSet:
        """Split captions given in memory.

        Raises:
            BadInputError: if there are none, one repeats, or there are too few for the splits.
        """
        return _split([(f"number {i}", text) for i, text in enumerate(captions)], section, seed, "captions")

    def split(self, name: Split) -> tuple[Prompt, ...]:
        """The prompts of one split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def _offset(raw: bytes, error: UnicodeDecodeError) -> int:
    """Offset in the file: the decoder counts after the byte order mark it removed."""
    return error.start + len(raw) - len(error.object)


def _split(named: Sequence[tuple[str, str]], section: PromptsConfig, seed: int, source: str) -> PromptSet:
    if not named:
        raise BadInputError(f"{source}: holds no prompts; write one a line")
    places: dict[str, str] = {}
    for place, text in named:
        if text in places:
            raise BadInputError(f"{source}: {place} repeats the prompt of {places[text]} ({text!r}); remove one")
        places[text] = place
    sizes: dict[Split, int] = {
        "test": section.num_test,
        "validation": section.num_validation,
        "train": section.num_train,
    }
    if len(places) < sum(sizes.values()):
        raise BadInputError(
            f"{source}: holds {len(places)} prompts, prompts.num_train + num_validation + num_test = "
            f"{sum(sizes.values())}; add prompts or lower these"
        )
    # ordered by a hash of the text, test first: more training prompts never move a prompt out of the other splits
    order = sorted(enumerate(places), key=lambda item: (derive_seed("prompts", seed, item[1]), item[0]))
    splits: dict[Split, tuple[Prompt, ...]] = {}
    start = 0
    for name, size in sizes.items():
        splits[name] = tuple(Prompt(index, text, name) for index, text in order[start : start + size])
        start += size
    rest = tuple(Prompt(index, text, "test") for index, text in order[start:])
    return PromptSet(**splits, rest=rest)
