"""Which cluster ``runtime.address=auto`` means inside a job."""

import pytest

from recache_ray.distributed.cluster import cluster_of_this_job


@pytest.mark.parametrize(
    ("named", "found"),
    [(None, ""), ("", ""), ("127.0.0.1:6379", "127.0.0.1:6379"), ("http://127.0.0.1:8265", "")],
)
def test_the_cluster_that_started_the_job_and_no_job_server(
    monkeypatch: pytest.MonkeyPatch, named: str | None, found: str
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if named is not None:
        monkeypatch.setenv("RAY_ADDRESS", named)
    assert cluster_of_this_job() == found
