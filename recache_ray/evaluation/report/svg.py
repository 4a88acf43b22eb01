"""The few marks all charts are made of, as SVG text. Colours are classes, so that the page decides light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def tag(name: str, content: str = "", **attributes: object) -> str:
    """One element; ``cls`` is the class, underscores become hyphens, ``content`` is SVG already."""
    written = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def picture(width: float, height: float, label: str, content: Sequence[str], cls: str = "") -> str:
    """The whole drawing; ``label`` is what a screen reader says of it."""
    box = f"0 0 {_text(width)} {_text(height)}"
    return tag("svg", "".join(content), viewBox=box, role="img", aria_label=label, cls=f"chart {cls}".strip())


def text(x: float, y: float, words: str, cls: str = "tick", anchor: str = "middle") -> str:
    """Words with their baseline at ``y``."""
    return tag("text", escape(words), x=x, y=y, cls=cls, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, cls: str = "grid") -> str:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, cls=cls)


def path(points: Sequence[tuple[float, float]], cls: str, *, closed: bool = False) -> str:
    """A line through points, or the area they enclose."""
    words = " L".join(f"{_text(x)},{_text(y)}" for x, y in points)
    return tag("path", d=f"M{words}{'Z' if closed else ''}", cls=cls)


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
