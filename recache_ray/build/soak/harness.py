"""Runs the training on a cluster of its own and damages it, restarting what a platform would: nodes, head, driver."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from recache_ray.build.progress import OnProgress, PhaseClock
from recache_ray.build.soak.account import counted
from recache_ray.build.soak.strikes import Strike
from recache_ray.build.soak.workload import Workload
from recache_ray.config.knobs import to_mapping
from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.local_nodes import LocalNode, LocalNodes, end
from recache_ray.errors import RunFailedError

NODES = 2
PLACES = 2
_ROLLOUT, _LEARNER = "ray::RolloutHost", "ray::LearnerHost"
_LOOK_S = 0.25
_UNEXPLAINED_ENDS = 3
_AFTERWARDS_S = 20.0


@dataclass(slots=True)
class Hit:
    """A fault that was injected.

    Attributes:
        at_s: seconds after the first update.
        update: how many were counted then.
        recovered_s: seconds until the next update was counted; NaN where the training ended first.
    """

    role: str
    at_s: float
    update: int
    recovered_s: float = math.nan


@dataclass(slots=True)
class Tally:
    """What happened.

    Attributes:
        seconds: of the training, the first start included.
        drivers: times a driver was started.
        unexplained: ends of a driver that no fault explains.
        left_hung: stopped processes that outlived the training.
    """

    hits: list[Hit] = field(default_factory=list)
    seconds: float = 0.0
    drivers: int = 0
    unexplained: int = 0
    left_hung: int = 0


class Harness:
    """One damaged training.

    Args:
        nodes: an empty cluster; the caller closes it.
        workload: what is learned.
        runtime: of the training; the address is filled in.
        strikes: the faults, in order of time.
    """

    def __init__(
        self,
        nodes: LocalNodes,
        workload: Workload,
        runtime: RuntimeConfig,
        strikes: Sequence[Strike],
        on_progress: OnProgress,
    ) -> None:
        self._nodes, self._workload, self._runtime = nodes, workload, runtime
        self._strikes = list(strikes)
        self._clock = PhaseClock("bench", workload.updates)
        self._on_progress = on_progress
        self._tally = Tally()
        self._driver: subprocess.Popen[bytes] | None = None
        self._excused = False  # whether the end of this driver is our doing
        self._hung: list[psutil.Process] = []
        self._timers: list[threading.Timer] = []
        self._log = Path(workload.folder) / "driver.log"
        self._actions: dict[str, Callable[[Strike], bool]] = {
            "rollout": lambda strike: self._kill_process(strike, _ROLLOUT),
            "learner": lambda strike: self._kill_process(strike, _LEARNER),
            "hung": self._hang,
            "slow": self._slow_down,
            "node": self._kill_node,
            "drain": self._drain_node,
            "driver": self._kill_driver,
            "head": self._kill_head,
        }

    def run(self) -> Tally:
        """Train until a driver ends well, with all faults on the way.

        Raises:
            RunFailedError: if a driver keeps ending without a fault to blame.
        """
        started_s = time.monotonic()
        try:
            self._start_cluster()
            self._train()
            self._tally.seconds = time.monotonic() - started_s
            _, alive = psutil.wait_procs(self._hung, timeout=_AFTERWARDS_S)
            self._tally.left_hung = len(alive)
        finally:
            for timer in self._timers:
                timer.cancel()
            if self._driver is not None and self._driver.poll() is None:
                self._driver.kill()
                self._driver.wait()
        return self._tally

    def _train(self) -> None:
        first_s = math.inf
        shown = -1
        while True:
            updates = len(counted(Path(self._workload.folder)))
            now_s = time.monotonic()
            if updates and first_s == math.inf:
                first_s = now_s
            for hit in self._tally.hits:
                if math.isnan(hit.recovered_s) and updates > hit.update:
                    hit.recovered_s = now_s - first_s - hit.at_s
            if updates != shown:
                shown = updates
                self._on_progress(self._clock.at(updates))
            if self._ended_well():
                return
            self._replace_nodes()
            if self._strikes and now_s - first_s >= self._strikes[0].at_s:
                strike = self._strikes[0]
                if self._actions[strike.role](strike):
                    self._strikes.pop(0)
                    hit = Hit(strike.role, time.monotonic() - first_s, updates)
                    self._tally.hits.append(hit)
                    self._on_progress(f"{hit.at_s:.0f} s, update {updates}: {strike.role}")
            time.sleep(_LOOK_S)

    def _ended_well(self) -> bool:
        """Whether the training is complete; starts a driver where there is none."""
        status = None if self._driver is None else self._driver.poll()
        if status == 0:
            return True
        if self._driver is not None and status is None:
            return False
        if self._driver is not None and not self._excused:
            self._tally.unexplained += 1
            if self._tally.unexplained >= _UNEXPLAINED_ENDS:
                last = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                raise RunFailedError(
                    f"the training ended {self._tally.unexplained} times with no fault to blame, the last with exit "
                    f"status {status}: {' '.join(last)[:300]}; see {self._log}"
                )
        self._start_driver()
        return False

    def _start_cluster(self) -> None:
        self._nodes.start_head()
        for _ in range(NODES):
            self._nodes.add_worker(PLACES)

    def _start_driver(self) -> None:
        settings = {
            "workload": asdict(self._workload),
            "runtime": to_mapping(replace(self._runtime, address=self._nodes.address)),
            "max_restarts": len(self._strikes) + 1,
        }
        with self._log.open("ab") as log:
            self._driver = subprocess.Popen(
                [sys.executable, "-m", "recache_ray.build.soak.driver", json.dumps(settings)],
                env=self._nodes.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._excused = False
        self._tally.drivers += 1

    def _replace_nodes(self) -> None:
        """As an autoscaler would: what has gone is cleared away, and one new node is started for it."""
        for node in self._nodes.workers:
            if not node.alive:
                self._nodes.workers.remove(node)
                end(node)
                self._nodes.add_worker(PLACES)
                return

    def _victim(self, strike: Strike, name: str) -> psutil.Process | None:
        there = [process for process in self._nodes.processes(name) if process not in self._hung]
        return there[int(strike.pick * len(there))] if there else None

    def _kill_process(self, strike: Strike, name: str) -> bool:
        victim = self._victim(strike, name)
        return victim is not None and _signalled(victim.kill)

    def _hang(self, strike: Strike) -> bool:
        victim = self._victim(strike, _ROLLOUT)
        if victim is None or not _signalled(victim.suspend):
            return False
        self._hung.append(victim)
        return True

    def _slow_down(self, strike: Strike) -> bool:
        victim = self._victim(strike, _ROLLOUT)
        if victim is None or not _signalled(victim.suspend):
            return False
        timer = threading.Timer(strike.pause_s, _signalled, (victim.resume,))
        timer.start()
        self._timers.append(timer)
        return True

    def _node(self, strike: Strike) -> LocalNode | None:
        there = [node for node in self._nodes.workers if node.named("raylet")]
        return there[int(strike.pick * len(there))] if there else None

    def _kill_node(self, strike: Strike) -> bool:
        node = self._node(strike)
        return node is not None and all(_signalled(raylet.kill) for raylet in node.named("raylet"))

    def _drain_node(self, strike: Strike) -> bool:
        node = self._node(strike)
        if node is None:
            return False
        node.process.terminate()
        return True

    def _kill_driver(self, strike: Strike) -> bool:
        if self._driver is None or self._driver.poll() is not None:
            return False
        self._driver.kill()
        self._driver.wait()
        self._excused = True
        return True

    def _kill_head(self, strike: Strike) -> bool:
        """The whole cluster is lost with its head, drivers on it too; the platform starts another."""
        if not self._kill_driver(strike):
            return False
        self._nodes.close()
        self._start_cluster()
        return True


def _signalled(action: Callable[[], object]) -> bool:
    """Whether the process was still there."""
    try:
        action()
    except psutil.NoSuchProcess:
        return False
    return True
