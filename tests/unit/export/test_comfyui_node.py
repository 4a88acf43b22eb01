"""The ComfyUI node against a stand-in of ComfyUI that calls wrappers as its samplers do."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import torch

from recache_ray.export.registry import TARGETS
from recache_ray.export.source import export_source
from recache_ray.schedules import Schedule, ScheduleTable


class WrappersMP(StrEnum):
    """The names of ComfyUI's wrapper kinds that the node uses."""

    OUTER_SAMPLE = "outer_sample"
    DIFFUSION_MODEL = "diffusion_model"


class Model:
    """A model patcher: keeps wrappers, and samples through them."""

    def __init__(self) -> None:
        self.wrappers: dict[str, Callable[..., Any]] = {}
        self.computed: list[tuple[int, str]] = []

    def clone(self) -> Model:
        return Model()

    def add_wrapper_with_key(self, kind: WrappersMP, key: str, wrapper: Callable[..., Any]) -> None:
        self.wrappers[kind] = wrapper

    def sample(self, num_steps: int) -> list[torch.Tensor]:
        """Outputs of the conditional branch; the model's output is a line in the step index."""
        levels, seen = torch.linspace(1, 0, num_steps + 1), []

        def steps() -> None:
            for step in range(num_steps):
                for branch in ("cond", "uncond"):
                    options = {"sample_sigmas": levels, "sigmas": levels[step : step + 1], "uuids": [branch]}

                    def network(x: torch.Tensor, transformer_options: Any, step: int = step, b: str = branch) -> Any:
                        self.computed.append((step, b))
                        return torch.full((2,), float(step) * (1 if b == "cond" else -1))

                    out = self.wrappers[WrappersMP.DIFFUSION_MODEL](
                        network, torch.zeros(2), transformer_options=options
                    )
                    if branch == "cond":
                        seen.append(out)

        self.wrappers[WrappersMP.OUTER_SAMPLE](steps)
        return seen


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Schedule, str], Model]:
    extension = types.ModuleType("comfy.patcher_extension")
    extension.WrappersMP = WrappersMP  # type: ignore[attr-defined]
    package = types.ModuleType("comfy")
    package.patcher_extension = extension  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "comfy", package)
    monkeypatch.setitem(sys.modules, "comfy.patcher_extension", extension)

    def patched(schedule: Schedule, mechanism: str) -> Model:
        table = ScheduleTable(
            schedule.num_steps, {schedule.budget: schedule}, {"forwards_per_step": 2}, {"id": mechanism}
        )
        made = TARGETS["comfyui"].make(export_source(table, schedule.budget))
        path = tmp_path / "comfyui_schedule.py"
        path.write_text(made.files["comfyui_schedule.py"])
        spec = importlib.util.spec_from_file_location("node", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        (model,) = module.NODE_CLASS_MAPPINGS["RecacheSchedule"]().patch(Model())
        return model

    return patched


def test_exactly_the_schedule_is_computed_for_each_conditioning_and_every_run(
    node: Callable[[Schedule, str], Model],
) -> None:
    schedule = Schedule.from_steps(9, (0, 1, 4, 8))
    model = node(schedule, "reuse")
    for _ in range(2):
        model.computed.clear()
        outputs = model.sample(9)
        for branch in ("cond", "uncond"):
            assert [step for step, b in model.computed if b == branch] == list(schedule.compute_steps)
        reused = [max(c for c in schedule.compute_steps if c <= step) for step in range(9)]
        assert [float(output[0]) for output in outputs] == reused


def test_order_one_is_exact_on_a_line_once_there_are_two_outputs(node: Callable[[Schedule, str], Model]) -> None:
    outputs = node(Schedule.from_steps(9, (0, 2, 5)), "taylor1").sample(9)
    assert [float(output[0]) for output in outputs] == pytest.approx([0, 0, 2, 3, 4, 5, 6, 7, 8])


def test_another_number_of_steps_is_refused(node: Callable[[Schedule, str], Model]) -> None:
    with pytest.raises(ValueError, match="the sampler runs 7 steps, the schedule has 9"):
        node(Schedule.from_steps(9, (0, 2)), "reuse").sample(7)
