"""One Ray cluster for every test that needs one: starting it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from recache_ray.config.runtime import RuntimeConfig
from recache_ray.distributed.cluster import connect


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS"):
            environment.delenv(name, raising=False)  # the tests are about what we set, not about this shell
        with connect(RuntimeConfig(cpus_per_worker=0.0)):
            yield
    assert not ray.is_initialized()
