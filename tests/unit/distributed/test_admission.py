"""Before joining, the head is asked whether it lets this process in: refusals, silence and anything else."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from ray.core.generated.gcs_service_pb2 import GetClusterIdReply, GetClusterIdRequest
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceServicer, add_NodeInfoGcsServiceServicer_to_server
from ray.exceptions import AuthenticationError

from recache_ray.distributed import admission
from recache_ray.distributed.join_errors import why_not_joined

TOKEN = "a" * 64


class Head(NodeInfoGcsServiceServicer):
    """Answers as a head with token authentication does."""

    def GetClusterId(self, request: GetClusterIdRequest, context: grpc.ServicerContext) -> GetClusterIdReply:
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: Authentication token is missing")
        return GetClusterIdReply(cluster_id=b"0" * 28)


@contextmanager
def listening_head() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    add_NodeInfoGcsServiceServicer_to_server(Head(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def carry(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    monkeypatch.setattr(admission, "token_metadata", lambda: metadata)


@pytest.mark.parametrize(
    ("token", "says"),
    [("", "the cluster asks for a token; set RAY_AUTH_MODE=token"), ("b" * 64, "the cluster refuses the token from")],
)
def test_a_refusal_is_immediate_and_says_which(monkeypatch: pytest.MonkeyPatch, token: str, says: str) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    carry(monkeypatch, token)
    with listening_head() as address, pytest.raises(AuthenticationError) as caught:
        admission.ask_admission(address, 30.0)
    assert why_not_joined(caught.value).startswith(says)
    assert "b" * 64 not in str(caught.value)


def test_the_right_token_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    carry(monkeypatch, TOKEN)
    with listening_head() as address:
        admission.ask_admission(address, 30.0)


def test_a_listener_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    carry(monkeypatch, TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ConnectionError, match=r"did not answer within 0\.5 s"):
            admission.ask_admission(f"127.0.0.1:{silent.getsockname()[1]}", 0.5)
        assert time.monotonic() - started < 10
