"""What a local cluster leaves out is left out inside the block alone."""

from __future__ import annotations

import pytest
from ray._private import utils
from ray._private.node import Node

from recache_ray.distributed.lean_node import lean_node

STARTERS = ("start_api_server", "start_monitor", "start_log_monitor")


def test_ray_is_itself_again_behind_the_block_even_where_it_fails() -> None:
    before = [getattr(Node, name) for name in STARTERS], utils.get_dashboard_dependency_error
    with pytest.raises(RuntimeError, match="no cluster"), lean_node():
        assert all(getattr(Node, name) is not was for name, was in zip(STARTERS, before[0], strict=True))
        assert utils.get_dashboard_dependency_error() is not None
        raise RuntimeError("no cluster")
    assert ([getattr(Node, name) for name in STARTERS], utils.get_dashboard_dependency_error) == before
