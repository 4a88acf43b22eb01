"""One rollout worker from the configuration; runs in this process or inside a rollout actor."""

from __future__ import annotations

from recache_ray.build.adapter import make_adapter
from recache_ray.build.memory_check import check_memory
from recache_ray.config.root import Config
from recache_ray.references.store import ReferenceStore
from recache_ray.rewards.quality import build_quality
from recache_ray.rewards.scorer import Scorer
from recache_ray.rollouts.worker import RolloutWorker


def make_scorer(config: Config, device: str) -> Scorer:
    """The reward, with its quality model where it uses one.

    Raises:
        BadInputError: if the weights of LPIPS or of the quality model cannot be had.
    """
    return Scorer(config.reward, device, build_quality(config.reward, config.model.kind, device))


def make_worker(config: Config, name: str) -> RolloutWorker:
    """Everything one rollout actor holds: model, reference store and reward.

    Raises:
        BadInputError: if the model, the reference store or the reward cannot be used, or memory cannot suffice.
    """
    check_memory(config)
    adapter = make_adapter(config)
    store = ReferenceStore.open(config.references.dir, adapter.identity())
    scorer = make_scorer(config, adapter.spec.device)
    section = config.runtime
    return RolloutWorker(adapter, store, scorer, section.max_batch, name, threads=section.threads_per_worker)
