"""From Ray Tune's callback, which is pickled with the state of a search, to a listener, which is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback

from recache_ray.distributed.tuning_listener import UPDATES, Listener

_LISTENERS: list[Listener] = []
_LEFT_OUT = frozenset({"trial_id", "training_iteration", "timestamp", "done", "pid", UPDATES})


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Relays, made now or by an earlier process, reach ``listener`` while the block runs."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.pop()


class Relay(Callback):
    """Passes on what becomes of trials."""

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        _LISTENERS[-1].started(trial.trial_id, dict(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        if UPDATES in result:
            _LISTENERS[-1].reported(trial.trial_id, int(result[UPDATES]), reported_metrics(result))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        _LISTENERS[-1].ended(trial.trial_id, "FINISHED")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        _LISTENERS[-1].ended(trial.trial_id, "FAILED")


def reported_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a trial reported, without those that Ray adds of its own."""
    return {
        name: float(value)
        for name, value in result.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and name not in _LEFT_OUT
        and not name.startswith(("time_", "iterations_", "config/"))
    }
