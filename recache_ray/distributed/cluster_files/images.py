"""Container images must say which Ray and Python they hold, and hold the same as everything else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import ray

_TAG = re.compile(r"(?:^|-ray)(?P<ray>\d+\.\d+\.\d+)-py(?P<python>3\d+)(?:-|$)")
_OLDEST_PYTHON = 311


def image_problems(images: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Problems with ``(place, image)`` pairs of one cluster.

    A tag must read ``2.60.0-py311...`` or ``...-ray2.60.0-py311``; a digest may follow it.
    """
    pythons: dict[str, str] = {}
    for place, image in images:
        name, _, tag = image.split("@")[0].rpartition("/")[2].partition(":")
        if name == "ray-ml":
            yield f"{place} = {image}: Ray builds no ray-ml images any more; use rayproject/ray"
        match = _TAG.search(tag)
        if match is None:
            yield (
                f"{place} = {image}: the tag does not pin Ray and Python; "
                f"use one such as {ray.__version__}-py{_OLDEST_PYTHON}"
            )
            continue
        if match["ray"] != ray.__version__:
            yield f"{place} = {image}: Ray {match['ray']}, but this package runs with Ray {ray.__version__}; use that"
        if int(match["python"]) < _OLDEST_PYTHON:
            yield f"{place} = {image}: Python {match['python']}, must be at least {_OLDEST_PYTHON}"
        pythons[match["python"]] = place
    if len(pythons) > 1:
        found = ", ".join(f"{place} has py{python}" for python, place in pythons.items())
        yield f"{found}: every node must have the same Python; use one tag for all"
