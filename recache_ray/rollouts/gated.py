"""Generations whose computed steps a gate chooses, each scored against the stored reference."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import Tensor

from recache_ray.caching.gates.change_recorder import ChangeRecorder
from recache_ray.caching.gates.registry import build_gate
from recache_ray.caching.registry import build_gated_mechanism
from recache_ray.caching.reuse import Reuse
from recache_ray.diffusion.adapter import ModelAdapter, UnusableGenerationError
from recache_ray.diffusion.gate_cost import GateCost, measure_gate_cost
from recache_ray.references.encoding import encode_frames
from recache_ray.references.reference import Reference
from recache_ray.rewards.scorer import Scorer
from recache_ray.types import GateSpec, MechanismSpec, Rollout, RolloutTask, SignalReport, SignalTask


class GateRunner:
    """Runs the gates of a task one after another, and measures once what asking each kind costs.

    Args:
        adapter: the model.
        scorer: the reward.
    """

    def __init__(self, adapter: ModelAdapter, scorer: Scorer) -> None:
        self._adapter = adapter
        self._scorer = scorer
        self._costs: dict[tuple[GateSpec, MechanismSpec], GateCost] = {}

    def run(self, task: RolloutTask, reference: Reference) -> tuple[Rollout, ...]:
        """One rollout per gate, in order.

        Raises:
            BadInputError: if a gate does not fit the model.
            UnusableGenerationError: if a picture is NaN or infinite.
            RunFailedError: if a metric is not finite.
        """
        mechanism, num_steps = build_gated_mechanism(task.mechanism), self._adapter.spec.num_steps
        seed = task.request.noise_seed
        try:
            runs = [
                self._adapter.run_gated(reference.embeddings, seed, build_gate(gate, num_steps), mechanism)
                for gate in task.gates
            ]
        except UnusableGenerationError as error:
            raise type(error)(error.schedules, seed, task.request.prompt.text) from error
        images = np.concatenate([run.generation.images for run in runs])
        prompt = task.request.prompt.text
        breakdowns = self._scorer.score(images, reference.image, prompt, all_metrics=task.all_metrics)
        return tuple(
            Rollout(
                schedule=run.schedule,
                log_prob=0.0,
                breakdown=breakdown,
                image_png=encode_frames(frames) if task.return_images else None,
                partial_forwards=self._cost(gate, task.mechanism, reference.embeddings).partial_forwards(run.schedule),
            )
            for gate, run, breakdown, frames in zip(task.gates, runs, breakdowns, images, strict=True)
        )

    def record(self, task: SignalTask, reference: Reference, worker: str) -> SignalReport:
        """Record the changes of an uncached generation.

        Raises:
            UnusableGenerationError: if the picture is NaN or infinite.
        """
        started = time.perf_counter()
        recorder = ChangeRecorder()
        self._adapter.run_gated(reference.embeddings, task.request.noise_seed, recorder, Reuse())
        # a gate does not see the last step's output
        inputs = tuple(recorder.input_changes[:-1])
        forwards = self._adapter.spec.num_steps * self._adapter.spec.forwards_per_step
        seconds = time.perf_counter() - started
        return SignalReport(task.task_id, inputs, tuple(recorder.output_changes), forwards, seconds, worker)

    def _cost(self, gate: GateSpec, mechanism: MechanismSpec, embeddings: Mapping[str, Tensor]) -> GateCost:
        key = (replace(gate, threshold=0.0), mechanism)
        if key not in self._costs:
            self._costs[key] = measure_gate_cost(self._adapter, embeddings, gate, build_gated_mechanism(mechanism))
        return self._costs[key]
