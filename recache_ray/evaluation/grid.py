"""Pictures side by side: the uncached reference, and what each method makes of it at every budget.

A video is shown by the frame in its middle.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from recache_ray.errors import RunFailedError
from recache_ray.evaluation.atomic_file import replace_atomically
from recache_ray.evaluation.measure import Methods, OnProgress, run_tasks
from recache_ray.rollouts.pool import RolloutPool
from recache_ray.schedules import Schedule
from recache_ray.types import GenerationRequest, MechanismSpec, RolloutFailure, RolloutGroup, RolloutTask

_CELL, _GAP, _LABEL, _CAPTION, _HEADER, _MARGIN = 128, 8, 116, 30, 26, 20
_INK, _FAINT, _BEST = "#22303c", "#6b7780", "#c8321f"


@dataclass(frozen=True)
class GridExample:
    """One prompt of the grid.

    Attributes:
        caption: its text.
        reference: the uncached picture, PNG bytes, animated where it is a video.
        pictures: method -> budget -> (PNG bytes, LPIPS to the reference).
    """

    caption: str
    reference: bytes
    pictures: Mapping[str, Mapping[int, tuple[bytes, float]]]


def collect_examples(
    pool: RolloutPool,
    methods: Methods,
    requests: Sequence[GenerationRequest],
    mechanism: MechanismSpec,
    *,
    first_task_id: int = 0,
    on_progress: OnProgress | None = None,
) -> tuple[GridExample, ...]:
    """Generate the pictures of the first schedule of every method and budget, and the uncached one, per request.

    Raises:
        RunFailedError: if a request gives no result.
    """
    used = {name: {k: group[0] for k, group in by_budget.items()} for name, by_budget in methods.items()}
    unique = {schedule for by_budget in used.values() for schedule in by_budget.values()}
    full = Schedule.full(next(iter(unique)).num_steps)
    schedules = tuple(sorted(unique | {full}))
    tasks = [
        RolloutTask(first_task_id + i, request, mechanism, schedules=schedules, all_metrics=True, return_images=True)
        for i, request in enumerate(requests)
    ]
    examples = []
    for result in run_tasks(pool, tasks, "pictures", on_progress):
        if isinstance(result, RolloutFailure):
            raise RunFailedError(f"picture grid: task {result.task_id} failed: {result.reason}")
        assert isinstance(result, RolloutGroup)
        found = {r.schedule: (r.image_png or b"", r.breakdown.metrics["lpips"]) for r in result.rollouts}
        pictures = {name: {k: found[s] for k, s in by_budget.items()} for name, by_budget in used.items()}
        examples.append(GridExample(result.request.prompt.text, found[full][0], pictures))
    return tuple(examples)


def write_grid(examples: Sequence[GridExample], path: Path, *, title: str) -> Path:
    """Write one PNG: a block per prompt with the reference on the left, a row per method and a column per budget.

    The LPIPS of each picture stands below it, the lowest of a column in red.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(examples[0].pictures)
    budgets = sorted({k for by_budget in examples[0].pictures.values() for k in by_budget})
    reference_side = len(names) * (_CELL + _CAPTION) - _CAPTION
    left = _MARGIN + reference_side + 2 * _GAP
    block = _CAPTION + _HEADER + len(names) * (_CELL + _CAPTION) + _GAP
    width = left + _LABEL + len(budgets) * (_CELL + _GAP) + _MARGIN
    sheet = Image.new("RGB", (width, 2 * _MARGIN + _CAPTION + block * len(examples)), "white")
    draw = ImageDraw.Draw(sheet)
    plain, small, bold = _font(14), _font(12), _font(16, bold=True)
    draw.text((_MARGIN, _MARGIN), title, font=bold, fill=_INK)
    for position, example in enumerate(examples):
        top = _MARGIN + _CAPTION + position * block
        draw.text((_MARGIN, top + 6), textwrap.shorten(example.caption, width // 9), font=plain, fill=_INK)
        rows_top = top + _CAPTION + _HEADER
        draw.text((_MARGIN, top + _CAPTION + 4), "all steps computed", font=small, fill=_FAINT)
        sheet.paste(_fit(example.reference, reference_side), (_MARGIN, rows_top))
        for column, budget in enumerate(budgets):
            x = left + _LABEL + column * (_CELL + _GAP)
            draw.text((x, top + _CAPTION + 4), f"k = {budget}", font=small, fill=_FAINT)
            column_pictures = {name: example.pictures[name].get(budget) for name in names}
            lowest = min(picture[1] for picture in column_pictures.values() if picture is not None)
            for row, name in enumerate(names):
                picture, y = column_pictures[name], rows_top + row * (_CELL + _CAPTION)
                if picture is None:
                    continue
                sheet.paste(_fit(picture[0], _CELL), (x, y))
                colour = _BEST if picture[1] == lowest else _FAINT
                draw.text((x, y + _CELL + 4), f"LPIPS {picture[1]:.4f}", font=small, fill=colour)
        for row, name in enumerate(names):
            y = rows_top + row * (_CELL + _CAPTION) + _CELL // 2 - 8
            draw.text((left, y), name, font=plain, fill=_INK)
    replace_atomically(path, lambda partial: sheet.save(partial, optimize=True))
    return path


def _fit(png: bytes, side: int) -> Image.Image:
    """The picture scaled so that its longer side is ``side`` pixels, on white where it is not square."""
    file = Image.open(io.BytesIO(png))
    file.seek(getattr(file, "n_frames", 1) // 2)
    picture = file.convert("RGB")
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    smooth = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(picture.resize(size, smooth), ((side - size[0]) // 2, (side - size[1]) // 2))
    return canvas


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans from matplotlib's own data, so captions in any European script look the same everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
