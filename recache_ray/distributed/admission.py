"""Whether the head of a cluster lets this process in, asked before joining.

Ray's own client repeats the question for 20 s and then says no more than that it could not connect.
"""

from __future__ import annotations

import grpc
from ray._private.authentication.grpc_authentication_client_interceptor import (
    _get_authentication_metadata_tuple as token_metadata,
)
from ray.core.generated.gcs_service_pb2 import GetClusterIdRequest  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub
from ray.exceptions import AuthenticationError


def ask_admission(address: str, timeout_s: float) -> None:
    """Send one request with the token of this process, if it has one; any other answer than a refusal is fine.

    Args:
        address: ``host:port`` of the head.
        timeout_s: for the answer.

    Raises:
        AuthenticationError: if the head refuses, or this process is to use a token and has none.
        ConnectionError: if there is no answer in time.
    """
    metadata = token_metadata()
    with grpc.insecure_channel(address) as channel:
        try:
            NodeInfoGcsServiceStub(channel).GetClusterId(GetClusterIdRequest(), timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise AuthenticationError(
                    "wrong authentication token" if metadata else "no authentication token sent"
                ) from error
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise ConnectionError(f"what listens there did not answer within {timeout_s:g} s") from error
