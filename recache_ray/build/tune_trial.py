"""One training of a search, in whichever process the search runs it."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recache_ray.build.pool import open_pool
from recache_ray.build.requests import prompt_set, requests_of
from recache_ray.build.search_space import with_values
from recache_ray.build.training_job import make_plan, make_policy
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.learning.checkpoint import CheckpointStore
from recache_ray.learning.learner import Learner
from recache_ray.learning.loop import TrainingLoop
from recache_ray.learning.progress import Progress
from recache_ray.learning.score import Judge

Report = Callable[[int, Mapping[str, float]], None]
"""Receives the number of updates and the metrics then, the ``score`` among them; may end the trial by raising."""

SCORE = "score"
SEED = "run.seed"


def is_cost(config: Config) -> bool:
    """Whether rewards are minus LPIPS and nothing else."""
    return config.reward.alpha == 0 and config.reward.fidelity == "linear"


def check_judgeable(config: Config) -> None:
    """Refuse what a trial cannot judge between two updates.

    Raises:
        BadInputError: if tasks of the next update run while a policy is judged.
    """
    if config.learning.order != "deterministic" or config.learning.policy_lag:
        raise BadInputError(
            f"learning.order = {config.learning.order!r}, learning.policy_lag = {config.learning.policy_lag}: "
            "trainings are judged between updates, while nothing else may run; choose learning=default"
        )


@dataclass(frozen=True)
class Trial:
    """A picklable description of the trainings of a search.

    Attributes:
        config: the settings that the search does not change; paths in it are relative to ``folder``.
        folder: working directory of the search.
        split: prompts that a training is judged on, ``validation`` or ``test``.
        checkpoints: folder under which each training keeps its checkpoints; the same one again goes on from there.
    """

    config: Config
    folder: str
    split: str
    checkpoints: str

    def run(self, values: Mapping[str, Any], name: str, report: Report) -> None:
        """Train with ``values`` in place of the configuration's and report as it goes.

        Raises:
            BadInputError, RunFailedError: if the model cannot be used or too many rollouts fail.
        """
        if Path(self.folder).is_dir():
            os.chdir(self.folder)
        config = with_values(self.config, values)
        checkpoints = CheckpointStore(Path(self.checkpoints) / name, config.learning.keep_checkpoints)
        checkpoint = checkpoints.load_newest(lambda line: None)
        prompts = prompt_set(config)
        judged_on = requests_of(prompts.validation if self.split == "validation" else prompts.test)
        section = dataclasses.replace(config.learning, polish_evaluations=0)
        with open_pool(config, lambda line: None) as pool:
            learner = Learner(make_policy(config), section, log_costs=config.reward.alpha == 0)
            plan = make_plan(config, requests_of(prompts.train))
            judge = Judge(pool, plan.mechanism, judged_on, costs=is_cost(config), check_stop=lambda: None)
            course = _Course(learner, judge, report, config.sweep.report_every, section.num_updates)
            loop = TrainingLoop(
                learner,
                plan,
                pool,
                judged_on[:1],  # for a local search, which trials leave out
                section,
                checkpoints=checkpoints,
                on_progress=course.after_update,
                stop=threading.Event(),
            )
            if checkpoint is not None:
                loop.resume(checkpoint)
            loop.learn()
            course.finish()


class _Course:
    """Judges the policy every few updates and at the end."""

    def __init__(self, learner: Learner, judge: Judge, report: Report, every: int, num_updates: int) -> None:
        self._learner, self._judge, self._report = learner, judge, report
        self._every, self._num_updates = every, num_updates
        self._reported = -1

    def after_update(self, progress: Progress) -> None:
        version = self._learner.version
        if version % self._every == 0 or version == self._num_updates:
            self._tell({"reward": progress.reward, "forwards_saved": progress.forwards_saved})

    def finish(self) -> None:
        """Report the last policy where that was not done, as after a resume of a finished training."""
        if self._reported != self._learner.version:
            self._tell({})

    def _tell(self, metrics: Mapping[str, float]) -> None:
        self._reported = self._learner.version
        self._report(self._learner.version, {SCORE: self._judge.score(self._learner.policy), **metrics})
