"""The tiny models and the mechanisms that every contract is tried on."""

from __future__ import annotations

from functools import cache

import pytest
from contract_runs import Model, Run, T, make, run

from recache_ray.caching.mechanism import CachingMechanism
from recache_ray.caching.registry import KINDS, build_mechanism
from recache_ray.schedules import Schedule
from recache_ray.testing.tiny.adapters import TINY
from recache_ray.types import MechanismSpec

_MECHANISMS = {
    mechanism.id: mechanism
    for mechanism in (build_mechanism(MechanismSpec(kind, order)) for kind in KINDS for order in (1, 2))
}

_shared = cache(make)


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> str:
    """Where models run."""
    return str(pytestconfig.getoption("--device"))


@cache
def _untouched(kind: str, device: str) -> Run:
    return run(_shared(kind, device=device), [Schedule.full(T)])


@pytest.fixture(params=sorted(TINY))
def kind(request: pytest.FixtureRequest) -> str:
    """A ``model.kind``."""
    return request.param


@pytest.fixture
def model(kind: str, device: str) -> Model:
    """A model of that kind, shared: tests leave it as it was."""
    return _shared(kind, device=device)


@pytest.fixture
def untouched(kind: str, device: str) -> Run:
    """What the shared model makes without any caching."""
    return _untouched(kind, device)


@pytest.fixture
def other(kind: str, device: str) -> Model:
    """Another of the same class with other weights, shared as well."""
    return _shared(kind, 1, device=device)


@pytest.fixture(params=sorted(_MECHANISMS))
def mechanism(request: pytest.FixtureRequest) -> CachingMechanism:
    """Every kind of mechanism, at orders 1 and 2."""
    return _MECHANISMS[request.param]
