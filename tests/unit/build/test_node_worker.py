"""A node that does not see the learner's store is refused by name, and errors of one machine name it."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from recache_ray.build.node_worker import NodeWorker, check_store_shared, store_mark
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.testing.fake_worker import FakeWorker, fake_task
from recache_ray.types import RolloutGroup

NODE = socket.gethostname()


def test_a_store_that_is_the_learners_is_accepted_while_the_run_lasts(tmp_path: Path) -> None:
    with store_mark(str(tmp_path / "store")) as mark:
        check_store_shared(str(tmp_path / "store"), mark)
        assert len(list((tmp_path / "store").iterdir())) == 1
    assert list((tmp_path / "store").iterdir()) == []


def test_a_store_of_the_same_name_on_another_disk_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with store_mark(str(tmp_path / "store")) as mark:
        for folder in ("elsewhere", "nowhere"):
            with pytest.raises(BadInputError) as caught:
                check_store_shared(str(tmp_path / folder), mark)
            message = str(caught.value)
            assert message.startswith(f"references.dir = {tmp_path / folder}: on node {NODE} it is not the folder")
            assert "mount the shared volume there" in message and "\n" not in message
    assert not (tmp_path / "nowhere").exists(), "looking must not make it"


def test_two_learners_on_one_store_do_not_disturb_each_other(tmp_path: Path) -> None:
    with store_mark(str(tmp_path)) as first:
        with store_mark(str(tmp_path)) as second:
            assert first != second
        check_store_shared(str(tmp_path), first)


def test_the_mark_of_a_learner_killed_long_ago_is_swept(tmp_path: Path) -> None:
    old, recent = tmp_path / ".learner-0", tmp_path / ".learner-1"
    old.touch()
    recent.touch()
    os.utime(old, (time.time() - 40 * 86_400,) * 2)
    with store_mark(str(tmp_path)):
        assert not old.exists() and recent.exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(BadInputError, match=rf"^references\.dir = .*file/store: cannot be written to on {NODE} "),
        store_mark(str(tmp_path / "file" / "store")),
    ):
        pytest.fail("marked")


def test_a_full_disk_names_its_node(tmp_path: Path) -> None:
    worker = NodeWorker(FakeWorker(tmp_path, "rollout-0"))
    assert isinstance(worker.run(fake_task(0)), RolloutGroup)
    with pytest.raises(RunFailedError) as caught:
        worker.run(fake_task(1, "full disk"))
    assert str(caught.value) == (
        f"references.dir = /full: cannot write 4 references (No space left); free space (on node {NODE})"
    )
