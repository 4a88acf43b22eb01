"""Before a worker loads anything: whether weights and feature cache can fit the device it is about to use."""

from __future__ import annotations

import logging

from recache_ray.build.architecture import configured_size, known_architecture
from recache_ray.build.mechanism import mechanism_spec
from recache_ray.caching.footprint import footprint
from recache_ray.caching.registry import build_mechanism
from recache_ray.config.root import Config
from recache_ray.diffusion.device_memory import free_memory
from recache_ray.diffusion.memory import check_fits, memory_need

_LOG = logging.getLogger(__name__)


def check_memory(config: Config) -> None:
    """Refuse a worker that cannot fit.

    A hub model whose architecture is not known before it is downloaded goes unchecked, with a warning.

    Raises:
        BadInputError: naming need, room and remedy.
    """
    import torch

    model = known_architecture(config.model)
    if model is None:
        _LOG.warning("%s: memory is not checked, its architecture is not known", config.model.path)
        return
    on_gpu = config.model.device != "cpu" and torch.cuda.is_available()
    available, device = free_memory("cuda" if on_gpu else "cpu")
    mechanism = mechanism_spec(config)
    need = memory_need(model, configured_size(config.model), config.model.dtype, footprint(build_mechanism(mechanism)))
    check_fits(need, config.runtime.max_batch, available, device=device, mechanism=mechanism.id)
