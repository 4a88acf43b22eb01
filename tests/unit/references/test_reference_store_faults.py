"""Kills, damage and full disks: whole references or none, one clear line, and nothing lost silently."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from reference_samples import IDENTITY, bit_equal, make_reference, request_of, requests_of

from recache_ray import patience
from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.references import store as store_module
from recache_ray.references.reference import Reference
from recache_ray.references.store import MissingReferenceError, ReferenceStore

KINDS = ("images", "embeddings")


def filled(directory: Path, count: int = 2) -> ReferenceStore:
    store = ReferenceStore.open(directory, IDENTITY)
    store.write([make_reference(request) for request in requests_of(count)])
    return store


def only_file(directory: Path, kind: str) -> Path:
    (path,) = (directory / kind).glob("*.parquet")
    return path


def hidden_files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob(".*") if path.is_file()]


def _write_for_ever(directory: Path, pipe: Connection) -> None:
    store = ReferenceStore.open(directory, IDENTITY)
    number = len(store)
    while True:
        store.write([make_reference(request_of(number))])
        pipe.send(number)
        number += 1


def test_a_writer_killed_at_any_moment_leaves_whole_references(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forked = multiprocessing.get_context("fork")
    delays = random.Random(0)
    finished = 0
    for turn in range(8):
        reports, pipe = forked.Pipe(duplex=False)
        writer = forked.Process(target=_write_for_ever, args=(tmp_path, pipe))
        writer.start()
        pipe.close()
        if turn % 2:  # every other writer gets one shard done, however slow the machine is
            assert reports.poll(60)
        time.sleep(delays.uniform(0.0, 0.06))
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        while reports.poll():
            try:
                finished = max(finished, reports.recv() + 1)
            except EOFError:
                break
        store = ReferenceStore.open(tmp_path, IDENTITY)
        assert len(store) >= finished  # every write that returned is there
        assert store.missing(requests_of(len(store))) == ()
        assert all(bit_equal(store.read(request), make_reference(request)) for request in requests_of(len(store)))
    assert finished > 0
    assert not caplog.records


def test_embeddings_whose_images_never_came_do_not_count_and_the_rewrite_completes_them(tmp_path: Path) -> None:
    filled(tmp_path)
    only_file(tmp_path, "images").unlink()  # what a kill between the two renames leaves
    store = ReferenceStore.open(tmp_path, IDENTITY)
    assert store.missing(requests_of(2)) == tuple(requests_of(2))
    store.write([make_reference(request) for request in requests_of(2)])
    assert len(ReferenceStore.open(tmp_path, IDENTITY)) == 2
    assert len(list((tmp_path / "embeddings").iterdir())) == 1


def test_what_killed_writers_left_is_swept_once_old(tmp_path: Path) -> None:
    filled(tmp_path)
    young, old = tmp_path / "images" / ".aa.partial", tmp_path / "embeddings" / ".bb.partial"
    orphan = tmp_path / "embeddings" / f"{'c' * 32}.parquet"
    own = tmp_path / "embeddings" / "notes.txt"
    for path in (young, old, orphan, own):
        path.write_bytes(b"left behind")
    for path in (old, orphan, own):
        os.utime(path, (1.0, 1.0))
    store = ReferenceStore.open(tmp_path, IDENTITY)
    assert len(store) == 2
    assert [path.exists() for path in (young, old, orphan, own)] == [True, False, False, True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_shard_cut_short_is_moved_away_and_its_references_are_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, share: float
) -> None:
    filled(tmp_path)
    damaged = only_file(tmp_path, kind)
    damaged.write_bytes(damaged.read_bytes()[: int(share * damaged.stat().st_size)])
    store = ReferenceStore.open(tmp_path, IDENTITY)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(damaged) in record.getMessage()
    assert "\n" not in record.getMessage()
    assert (tmp_path / "damaged" / f"{kind}-{damaged.name}").exists()
    assert store.missing(requests_of(2)) == tuple(requests_of(2))
    with pytest.raises(MissingReferenceError, match="recache references"):
        store.read(request_of(0))
    store.write([make_reference(request) for request in store.missing(requests_of(2))])
    assert all(bit_equal(store.read(request), make_reference(request)) for request in requests_of(2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_anywhere_is_detected_or_harmless(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    filled(tmp_path)
    files = {path: path.read_bytes() for path in (only_file(tmp_path, each) for each in KINDS)}
    target = only_file(tmp_path, kind)
    offsets = random.Random(1)
    outcomes = set()
    for _ in range(40):
        flipped = bytearray(files[target])
        flipped[offsets.randrange(len(flipped))] ^= 1 << offsets.randrange(8)
        target.write_bytes(flipped)
        caplog.clear()
        store = ReferenceStore.open(tmp_path, IDENTITY)
        try:
            right = all(bit_equal(store.read(request), make_reference(request)) for request in requests_of(2))
        except MissingReferenceError:
            assert len(caplog.records) == 1
            assert kind in caplog.records[0].getMessage()
            outcomes.add("detected")
        else:
            assert right
            assert not caplog.records
            outcomes.add("harmless")
        for path, content in files.items():
            path.write_bytes(content)
    assert "detected" in outcomes


def test_damage_found_while_reading_falls_back_on_another_copy(tmp_path: Path) -> None:
    references = [make_reference(request) for request in requests_of(3)]
    ReferenceStore.open(tmp_path / "a", IDENTITY).write(references)
    ReferenceStore.open(tmp_path / "b", IDENTITY).write(references[:1])
    for kind in KINDS:
        copy = only_file(tmp_path / "b", kind)
        copy.replace(tmp_path / "a" / kind / copy.name)
    store = ReferenceStore.open(tmp_path / "a", IDENTITY)
    for path in sorted((tmp_path / "a" / "images").iterdir())[:1]:  # the copy that counts
        content = path.read_bytes()
        place = content.index(b"\x89PNG") + 60
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    assert bit_equal(store.read(request_of(0)), references[0])
    assert len(list((tmp_path / "a" / "damaged").iterdir())) == 2


def test_a_shard_that_vanished_is_missing_and_not_an_error_of_its_own(tmp_path: Path) -> None:
    store = filled(tmp_path)
    for kind in KINDS:
        only_file(tmp_path, kind).unlink()
    with pytest.raises(MissingReferenceError):
        store.read(request_of(0))
    assert len(store) == 0


def test_a_system_that_refuses_to_read_is_not_taken_for_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(store_module.shard, "read_image", refuse)
    with pytest.raises(RunFailedError, match="Too many open files"):
        store.read(request_of(0))
    assert only_file(tmp_path, "images").exists()


@pytest.mark.parametrize("function", ["read_image", "read_index", "write_images"])
def test_a_store_that_is_away_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    filled(tmp_path)
    real, refused = getattr(store_module.shard, function), []

    def away(*arguments: object, **keywords: object) -> object:
        if len(refused) < 3:
            refused.append(1)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return real(*arguments, **keywords)

    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(store_module.shard, function, away)
    store = ReferenceStore.open(tmp_path, IDENTITY)
    assert store.write([make_reference(request_of(7))]) == 1
    assert np.array_equal(store.read(request_of(7)).image, make_reference(request_of(7)).image)
    assert len(refused) == 3 and len(store) == 3
    assert [record.message for record in caplog.records if "Stale file handle; trying again" in record.message]
    assert not (tmp_path / "damaged").exists()
    assert not list(tmp_path.rglob(".*.partial"))


@contextmanager
def files_no_larger_than(limit: int) -> Iterator[None]:
    """The kernel refuses to grow a file beyond this, as a full disk does.

    Only around the call under test: the limit holds for the whole process, the report that pytest writes included.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_fails_in_one_line_and_leaves_no_trace(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    limit = 16_384
    noise = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), dtype=np.uint8)
    assert noise.nbytes > limit
    too_large = Reference(request_of(5), noise, make_reference(request_of(5)).embeddings)
    with pytest.raises(RunFailedError, match=r"references\.dir = .*free space") as caught, files_no_larger_than(limit):
        store.write([too_large])
    assert "\n" not in str(caught.value)
    assert "the 2 stored so far are kept" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert len(ReferenceStore.open(tmp_path, IDENTITY)) == 2


@pytest.mark.parametrize("failing", ["sync", "sync_folder"])
def test_an_error_at_the_last_moment_shows_and_leaves_a_readable_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store = filled(tmp_path)

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store_module, failing, full)
        with pytest.raises(RunFailedError, match="No space left on device"):
            store.write([make_reference(request_of(5))])
    assert not hidden_files(tmp_path)
    reopened = ReferenceStore.open(tmp_path, IDENTITY)
    assert len(reopened) == 2
    assert reopened.write([make_reference(request_of(5))]) == 1


def test_a_folder_that_cannot_be_written_to_is_refused_on_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInputError, match=r"references\.dir = .*cannot be written to \(Not a directory\)"):
        ReferenceStore.open(tmp_path / "file" / "store", IDENTITY)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    filled(tmp_path / "store")
    monkeypatch.setattr(store_module, "partial_file", read_only)
    with pytest.raises(BadInputError, match=r"Read-only file system.*choose another references.dir"):
        ReferenceStore.open(tmp_path / "store", IDENTITY)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"schema_version": 1, "identity": {}, "content_key": "x"}']
)
def test_a_damaged_manifest_is_refused_and_can_be_deleted(tmp_path: Path, content: bytes) -> None:
    filled(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_bytes(content)
    with pytest.raises(BadInputError, match=r"manifest\.json is damaged .*delete that file"):
        ReferenceStore.open(tmp_path, IDENTITY)
    manifest.unlink()
    assert len(ReferenceStore.open(tmp_path, IDENTITY)) == 2


def test_a_manifest_of_a_later_release_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(BadInputError, match="schema_version = 2, this release reads 1"):
        ReferenceStore.open(tmp_path, IDENTITY)
