"""Checkpoints appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest
import torch

from recache_ray import patience
from recache_ray.errors import RunFailedError
from recache_ray.learning.checkpoint import Checkpoint, CheckpointStore


def _checkpoint(serial):
    return Checkpoint(serial, {"a": torch.arange(4.0) * serial}, {"x": serial, "nested": {"y": [0.1, 2]}})


def _no_warning(message):
    raise AssertionError(message)


def test_round_trip_keeps_bits_and_only_the_newest(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    assert store.load_newest(_no_warning) is None
    for serial in range(1, 5):
        store.save(_checkpoint(serial))
    loaded = store.load_newest(_no_warning)
    assert (loaded.serial, loaded.document) == (4, _checkpoint(4).document)
    assert torch.equal(loaded.tensors["a"], _checkpoint(4).tensors["a"])
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "checkpoint-00000003", "checkpoint-00000004",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "checksums.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damaged_newest_falls_back_to_the_one_before_and_says_so(tmp_path, name, damage):
    store = CheckpointStore(tmp_path, keep=3)
    store.save(_checkpoint(1))
    path = store.save(_checkpoint(2)) / name
    payload = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(payload[: len(payload) // 2])
    elif damage == "flip":
        payload[len(payload) // 2] ^= 1
        path.write_bytes(payload)
    else:
        path.unlink()
    warnings = []
    assert store.load_newest(warnings.append).serial == 1
    assert len(warnings) == 1 and "checkpoint-00000002" in warnings[0] and "\n" not in warnings[0]
    store.save(_checkpoint(2))
    assert store.load_newest(_no_warning).serial == 2


@pytest.mark.parametrize("step", ["mkdir", "replace", "flush"])
def test_a_filesystem_that_is_away_for_a_moment_is_waited_for(tmp_path, monkeypatch, step):
    refused = []

    def away(real):
        def call(*arguments, **keywords):
            if len(refused) < 4:
                refused.append(1)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **keywords)

        return call

    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    store = CheckpointStore(tmp_path)
    store.save(_checkpoint(1))
    if step == "flush":
        monkeypatch.setattr(os, "fsync", away(os.fsync))
    else:
        monkeypatch.setattr(Path, step, away(getattr(Path, step)))
    store.save(_checkpoint(2))
    assert len(refused) == 4
    loaded = store.load_newest(_no_warning)
    assert loaded.serial == 2 and torch.equal(loaded.tensors["a"], _checkpoint(2).tensors["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000001", "checkpoint-00000002"]


def test_nothing_readable_is_an_error_not_a_fresh_start(tmp_path):
    store = CheckpointStore(tmp_path)
    (store.save(_checkpoint(1)) / "state.json").unlink()
    with pytest.raises(RunFailedError, match="none of its 1 checkpoints is readable"):
        store.load_newest(lambda _: None)


def test_a_kill_while_writing_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(_checkpoint(1))

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        store.save(_checkpoint(2))
    monkeypatch.undo()
    assert store.load_newest(_no_warning).serial == 1
    store.save(_checkpoint(2))
    assert store.load_newest(_no_warning).serial == 2


def test_disk_full_is_one_line_and_loses_nothing(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(_checkpoint(1))

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFailedError, match="no space left on the disk") as caught:
        store.save(_checkpoint(2))
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001"]
    assert store.load_newest(_no_warning).serial == 1
