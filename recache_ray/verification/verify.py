"""Runs an export on a tiny pipeline and compares the blocks that ran, step by step, with the schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recache_ray.schedules import Schedule
from recache_ray.verification.counting import BlockCounter
from recache_ray.verification.tiny_pipelines import TinyPipeline

GENERATIONS = 3

Attach = Callable[[TinyPipeline], None]
"""Switches the exported schedule on; raises whatever the library raises."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the library computed exactly the schedule.

    Attributes:
        exact: it did, in every generation and branch.
        reason: the first step that differs, or what the library refused; empty if exact.
        blocks_computed, blocks_cached: blocks that ran in a computed and in a cached call of the exact schedule.
        num_blocks: blocks of the tiny model.
    """

    exact: bool
    reason: str = ""
    blocks_computed: int = 0
    blocks_cached: int = 0
    num_blocks: int = 0


def verify_schedule(tiny: TinyPipeline, attach: Attach, schedule: Schedule) -> Verdict:
    """Attach, generate three times, and compare: a call is computed when all blocks ran, cached when fewer did."""
    counter = BlockCounter(tiny)
    try:
        attach(tiny)
    except Exception as error:  # whatever a library raises over a bad file is the finding
        return Verdict(False, f"the library refused it: {_line(error)}")
    cached = 0
    for generation in range(1, GENERATIONS + 1):
        counter.calls.clear()
        failure = ""
        try:
            tiny.generate(schedule.num_steps)
        except Exception as error:
            failure = _line(error)
        for call, blocks in enumerate(counter.calls if not failure else counter.calls[:-1]):
            step, branch = divmod(call, tiny.forwards_per_step)
            wanted, computed = schedule.computes(step), blocks == counter.num_blocks
            if wanted != computed:
                place = f"generation {generation}, step {step}"
                place += f", guidance branch {branch}" if tiny.forwards_per_step > 1 else ""
                ran = f"{blocks} of {counter.num_blocks} blocks ran"
                return Verdict(False, f"{place}: {ran}, the schedule {'computes' if wanted else 'caches'} it")
            cached = max(cached, 0 if computed else blocks)
        if failure:
            step = max(0, len(counter.calls) - 1) // tiny.forwards_per_step
            return Verdict(False, f"generation {generation}, step {step}: the library failed: {failure}")
        calls = schedule.num_steps * tiny.forwards_per_step
        if len(counter.calls) != calls:
            return Verdict(
                False, f"generation {generation}: {len(counter.calls)} transformer calls in place of {calls}"
            )
    return Verdict(True, "", counter.num_blocks, cached, counter.num_blocks)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
