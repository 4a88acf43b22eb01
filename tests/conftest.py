"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# an example that takes long on a busy machine is not a failure; pytest's own timeout ends what hangs
settings.register_profile("recache_ray", deadline=None)
settings.load_profile("recache_ray")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="where the models of tests/contracts run: cpu or cuda")


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """Nothing that was compiled before, and nothing left behind."""
    import torch

    torch.compiler.reset()
    yield
    torch.compiler.reset()
