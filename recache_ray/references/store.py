"""The store of references: a folder that several processes fill and read at the same time.

``manifest.json`` says what made the references; ``images/`` and ``embeddings/`` hold the shards, in pairs of equal
name; ``damaged/`` receives shards whose bytes changed. A shard counts from the moment its images file has its name, and
the embeddings file gets its own just before, so a kill at any moment leaves whole shards or hidden partial files.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.patience import patiently
from recache_ray.references import shard
from recache_ray.references.files import PARTIAL_SUFFIX, partial_file, sync, sync_folder
from recache_ray.references.identity import Identity, content_key, prompt_key, request_key
from recache_ray.references.manifest import ensure_manifest
from recache_ray.references.reference import Reference
from recache_ray.types import GenerationRequest

_LOG = logging.getLogger(__name__)
_SHARD_NAME = re.compile(r"[0-9a-f]{32}\.parquet")
_ABANDONED_S = 3600.0  # no writer takes an hour over one shard


class MissingReferenceError(RunFailedError):
    """A reference is not in the store, or its shard turned out damaged; making and writing it again helps."""


class ReferenceStore:
    """References by request. Open one in every process that needs it.

    Example::

        store = ReferenceStore.open("references/default", adapter.identity())
        store.write([make(request) for request in store.missing(requests)])
        reference = store.read(requests[0])
    """

    def __init__(self, directory: Path, store_key: str) -> None:
        self._directory = directory
        self._images = directory / "images"
        self._embeddings = directory / "embeddings"
        self._key = store_key
        self._shards: dict[str, shard.ShardIndex] = {}
        self._places: dict[str, str] = {}  # request key to the name of its shard

    @classmethod
    def open(cls, directory: str | os.PathLike[str], identity: Identity) -> ReferenceStore:
        """Create the store, or open the one that is there after checking that ``identity`` made it.

        Args:
            directory: the folder, ``references.dir``.
            identity: everything that determines a generation apart from prompt and noise seed.

        Raises:
            BadInputError: if the store was made from another identity, or the folder cannot be written to.
        """
        store = cls(Path(directory), content_key(identity))
        try:
            store._images.mkdir(parents=True, exist_ok=True)
            store._embeddings.mkdir(exist_ok=True)
            with partial_file(store._images):
                pass  # a folder may exist and still refuse writes
            ensure_manifest(store._directory, identity)
            store._sweep()
        except OSError as error:
            raise BadInputError(
                f"references.dir = {directory}: cannot be written to ({error.strerror or error}); "
                "allow writing there or choose another references.dir"
            ) from error
        store.refresh()
        return store

    def __len__(self) -> int:
        """Number of references in the index."""
        return len(self._places)

    def missing(self, requests: Iterable[GenerationRequest]) -> tuple[GenerationRequest, ...]:
        """The distinct requests without a reference in the index, in the order given."""
        distinct: dict[str, GenerationRequest] = {}
        for request in requests:
            distinct.setdefault(self._request_key(request), request)
        return tuple(request for key, request in distinct.items() if key not in self._places)

    def refresh(self) -> None:
        """See the shards that other processes have written, and forget those that are gone.

        A damaged shard is moved to ``damaged/`` with a warning, and its references are missing from then on.

        Raises:
            BadInputError: if a file in the place of a shard was written by another store.
            RunFailedError: if the system refuses to read or move a file.
        """
        try:
            paths = patiently(lambda: list(self._images.iterdir()), str(self._images))
        except OSError as error:
            raise RunFailedError(
                f"references.dir = {self._directory}: cannot be read ({error.strerror or error}); bring it back, or "
                "choose another references.dir"
            ) from error
        names = {path.name for path in paths if _SHARD_NAME.fullmatch(path.name)}
        for name in self._shards.keys() - names:
            del self._shards[name]
        for name in sorted(names - self._shards.keys()):
            try:
                self._shards[name] = patiently(partial(self._read_index, name), str(self._images / name))
            except shard.DamagedShardError as error:
                self._quarantine(name, error)
            except shard.ForeignShardError as error:
                raise BadInputError(
                    f"references.dir = {self._directory}: {error} was written by another store; "
                    "remove that file or choose another references.dir"
                ) from error
            except OSError as error:
                raise self._refused("read", name, error) from error
        # of several copies of a reference, the one in the shard of the smallest name counts, in every process
        self._places = {key: name for name in sorted(self._shards, reverse=True) for key in self._shards[name].frames}

    def write(self, references: Sequence[Reference]) -> int:
        """Store references as one shard; those already stored are left alone.

        Returns:
            How many were new.

        Raises:
            RunFailedError: if the disk is full or refuses the write; nothing half-written is left behind.
        """
        self.refresh()
        wanted = set(self.missing(reference.request for reference in references))
        new = [reference for reference in references if reference.request in wanted]
        if not new:
            return 0
        images = shard.image_rows(new, self._key)
        embeddings = shard.embedding_rows(new, self._key)
        name = shard.shard_name(images, embeddings)
        try:
            patiently(lambda: self._publish(name, images, embeddings), str(self._images / name))
        except OSError as error:
            raise RunFailedError(
                f"references.dir = {self._directory}: cannot write {len(wanted)} references "
                f"({error.strerror or error}); free space or choose another references.dir, then run again: "
                f"the {len(self)} stored so far are kept"
            ) from error
        self.refresh()
        return len(wanted)

    def read(self, request: GenerationRequest) -> Reference:
        """The stored reference, its bytes checked against their checksums.

        Raises:
            MissingReferenceError: if it is not stored, or was damaged and has no other copy.
            RunFailedError: if the system refuses to read or move a file.
        """
        key = self._request_key(request)
        if key not in self._places:
            self.refresh()
        while key in self._places:
            name = self._places[key]
            try:
                return patiently(partial(self._read, request, self._shards[name]), str(self._images / name))
            except shard.DamagedShardError as error:
                self._quarantine(name, error)
                self.refresh()
            except OSError as error:
                raise self._refused("read", name, error) from error
        raise MissingReferenceError(
            f"references.dir = {self._directory}: no reference of {request.prompt.text!r} with noise seed "
            f"{request.noise_seed}; make it with: recache references"
        )

    def close(self) -> None:
        """Forget the index. No file stays open between calls, so nothing else needs releasing."""
        self._shards.clear()
        self._places.clear()

    def _request_key(self, request: GenerationRequest) -> str:
        return request_key(self._key, request.prompt.text, request.noise_seed)

    def _read_index(self, name: str) -> shard.ShardIndex:
        return shard.read_index(self._images / name, self._embeddings / name, self._key)

    def _publish(self, name: str, images: Sequence[Mapping[str, Any]], embeddings: Sequence[Mapping[str, Any]]) -> None:
        """Write both files of a shard and give them their names, the one that makes it count last."""
        with (
            partial_file(self._images) as (images_partial, images_stream),
            partial_file(self._embeddings) as (embeddings_partial, embeddings_stream),
        ):
            shard.write_embeddings(embeddings_stream, embeddings)
            shard.write_images(images_stream, images)
            sync(embeddings_stream)
            sync(images_stream)
            embeddings_partial.replace(self._embeddings / name)
            sync_folder(self._embeddings)
            images_partial.replace(self._images / name)
            sync_folder(self._images)

    def _read(self, request: GenerationRequest, found: shard.ShardIndex) -> Reference:
        prompt = request.prompt.text
        tensors = found.tensors.get(prompt_key(self._key, prompt), ())
        return Reference(
            request=request,
            image=shard.read_image(
                self._images / found.name, found.frames[self._request_key(request)], request, self._key
            ),
            embeddings=shard.read_embeddings(self._embeddings / found.name, tensors, prompt, self._key),
        )

    def _quarantine(self, name: str, why: Exception) -> None:
        """Move a damaged shard out of the way, images first: without them the shard does not count."""
        self._shards.pop(name, None)
        damaged = self._directory / "damaged"
        moved = []
        for folder in (self._images, self._embeddings):
            target = damaged / f"{folder.name}-{name}"
            try:
                damaged.mkdir(exist_ok=True)
                (folder / name).replace(target)
                moved.append(target.name)
            except FileNotFoundError:
                continue  # never there, or another process moved it first
            except OSError as error:
                raise self._refused("move", name, error) from why
        if moved:
            _LOG.warning("%s; moved to %s as %s, to be made again", why, damaged, " and ".join(moved))

    def _refused(self, action: str, name: str, error: OSError) -> RunFailedError:
        return RunFailedError(
            f"references.dir = {self._directory}: cannot {action} shard {name} ({error.strerror or error}); "
            "give this user access to the folder or choose another references.dir"
        )

    def _sweep(self) -> None:
        """Remove what killed writers left: old partial files, and embeddings whose images never came."""
        oldest = time.time() - _ABANDONED_S
        folders = (self._directory, self._images, self._embeddings)
        partials = [path for folder in folders for path in folder.glob(f".*{PARTIAL_SUFFIX}")]
        orphans = [path for path in self._embeddings.iterdir() if not (self._images / path.name).exists()]
        for path in partials + [path for path in orphans if _SHARD_NAME.fullmatch(path.name)]:
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue  # another process swept or published it
