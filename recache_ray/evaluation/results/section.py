"""A generated section of a hand-written file, between two marks."""

from __future__ import annotations

from recache_ray.errors import BadInputError


def marks(name: str) -> tuple[str, str]:
    """The lines before and after the section of the results called ``name``."""
    return f"<!-- results:begin {name} -->", f"<!-- results:end {name} -->"


def read_section(text: str, name: str) -> str | None:
    """What stands between the marks of ``name``; None where the file has no such marks.

    Raises:
        BadInputError: if one mark is missing, or one stands there twice, or they are in the wrong order.
    """
    begin, end = marks(name)
    counts = text.count(begin), text.count(end)
    if counts == (0, 0):
        return None
    if counts != (1, 1) or text.index(begin) > text.index(end):
        raise BadInputError(f"the section {name}: needs the lines {begin} and {end}, once each and in this order")
    return text[text.index(begin) + len(begin) : text.index(end)].strip("\n") + "\n"


def replace_section(text: str, name: str, content: str) -> str:
    """``text`` with the section of ``name`` replaced; marks must be there.

    Raises:
        BadInputError: as :func:`read_section`.
    """
    begin, end = marks(name)
    if read_section(text, name) is None:
        raise BadInputError(f"there is no section {name}: add the lines {begin} and {end}")
    before, after = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    return f"{before}\n" + content.strip("\n") + f"\n{after}"
