"""One shard: a Parquet file of images and one of embeddings under the same name, one row per row group.

A row of ``images/`` is one frame of one reference, in the layout Hugging Face ``datasets`` uses for images; a row of
``embeddings/`` is one named tensor of one prompt. The name is a hash over the rows' keys and checksums, so writing the
same references again gives the same name, and a footer or key column that changed on disk no longer matches its name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor

from recache_ray.references.encoding import decode_png, decode_tensor, encode_png, encode_tensor, row_digest
from recache_ray.references.identity import prompt_key, request_key
from recache_ray.references.reference import Reference
from recache_ray.types import GenerationRequest

_IMAGE_KEYS = {
    "request_key": pa.string(),
    "prompt": pa.string(),
    "noise_seed": pa.int64(),
    "frame": pa.int64(),
    "sha256": pa.string(),
}
_EMBEDDING_KEYS = {"prompt_key": pa.string(), "name": pa.string(), "sha256": pa.string()}
_FEATURES = {
    **{name: {"dtype": str(kind), "_type": "Value"} for name, kind in _IMAGE_KEYS.items()},
    "image": {"_type": "Image"},
}
_IMAGES = pa.schema(
    {**_IMAGE_KEYS, "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})},
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)
_EMBEDDINGS = pa.schema(
    {
        **_EMBEDDING_KEYS,
        "prompt": pa.string(),
        "dtype": pa.string(),
        "shape": pa.list_(pa.int64()),
        "data": pa.large_binary(),
    }
)


class DamagedShardError(Exception):
    """A shard's bytes are not what was written; the message names the file and what is wrong."""


class ForeignShardError(Exception):
    """A readable file in the place of a shard that belongs to another store, or to none."""


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """Where the rows of a shard are, from its key columns alone.

    Attributes:
        name: file name of both files.
        frames: request key to the row groups of its frames, in frame order.
        tensors: prompt key to the row groups of its embeddings.
    """

    name: str
    frames: Mapping[str, tuple[int, ...]]
    tensors: Mapping[str, tuple[int, ...]]


def image_rows(references: Iterable[Reference], store_key: str) -> list[dict[str, Any]]:
    """The rows of ``images/`` for these references."""
    rows = []
    for reference in references:
        request = reference.request
        key = request_key(store_key, request.prompt.text, request.noise_seed)
        for frame, pixels in enumerate(reference.image):
            png = encode_png(pixels)
            rows.append(
                {
                    "request_key": key,
                    "prompt": request.prompt.text,
                    "noise_seed": request.noise_seed,
                    "frame": frame,
                    "sha256": row_digest(key, request.prompt.text, request.noise_seed, frame, png),
                    "image": {"bytes": png, "path": f"{key}-{frame:04d}.png"},
                }
            )
    return rows


def embedding_rows(references: Iterable[Reference], store_key: str) -> list[dict[str, Any]]:
    """The rows of ``embeddings/``: every prompt once, however many seeds it has."""
    rows = []
    by_prompt = {reference.request.prompt.text: reference.embeddings for reference in references}
    for prompt, embeddings in by_prompt.items():
        key = prompt_key(store_key, prompt)
        for name, tensor in sorted(embeddings.items()):
            data, dtype, shape = encode_tensor(tensor)
            digest = row_digest(key, prompt, name, dtype, json.dumps(shape), data)
            rows.append(
                {
                    "prompt_key": key,
                    "prompt": prompt,
                    "name": name,
                    "dtype": dtype,
                    "shape": shape,
                    "sha256": digest,
                    "data": data,
                }
            )
    return rows


def shard_name(images: Sequence[Mapping[str, Any]], embeddings: Sequence[Mapping[str, Any]]) -> str:
    """File name of the shard with these rows, from their key columns and checksums."""
    digest = hashlib.sha256()
    for row in images:
        digest.update(row_digest(*(row[name] for name in _IMAGE_KEYS)).encode())
    for row in embeddings:
        digest.update(row_digest(*(row[name] for name in _EMBEDDING_KEYS)).encode())
    return f"{digest.hexdigest()[:32]}.parquet"


def write_images(stream: IO[bytes], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the Parquet file of ``images/``."""
    _write(stream, rows, _IMAGES)


def write_embeddings(stream: IO[bytes], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the Parquet file of ``embeddings/``."""
    _write(stream, rows, _EMBEDDINGS)


def read_index(images_path: Path, embeddings_path: Path, store_key: str) -> ShardIndex:
    """Read the key columns of a shard and check them against its name.

    Raises:
        DamagedShardError: if a file is missing, cut short, or its footer or key columns changed.
        ForeignShardError: if the files are whole but were written by another store.
        OSError: if the system refuses to read a file that is there.
    """
    images = _read(images_path, _IMAGES, [*_IMAGE_KEYS])
    embeddings = _read(embeddings_path, _EMBEDDINGS, [*_EMBEDDING_KEYS])
    if shard_name(images, embeddings) != images_path.name:
        raise DamagedShardError(f"{images_path}: its keys and checksums do not match its name")
    for row in images:
        if row["request_key"] != request_key(store_key, row["prompt"], row["noise_seed"]):
            raise ForeignShardError(str(images_path))
    return ShardIndex(images_path.name, _groups(images, "request_key"), _groups(embeddings, "prompt_key"))


def read_image(path: Path, groups: Sequence[int], request: GenerationRequest, store_key: str) -> NDArray[np.uint8]:
    """Decode the frames [F, H, W, 3] in these row groups, each checked against its checksum.

    Raises:
        DamagedShardError: if the bytes changed on disk.
    """
    key = request_key(store_key, request.prompt.text, request.noise_seed)
    frames = []
    for place, row in enumerate(_read(path, _IMAGES, None, groups)):
        png = row["image"]["bytes"]
        if row["sha256"] != row_digest(key, request.prompt.text, request.noise_seed, place, png):
            raise DamagedShardError(f"{path}: checksum mismatch in the image of {request.prompt.text!r}")
        frames.append(decode_png(png))
    return np.stack(frames)


def read_embeddings(path: Path, groups: Sequence[int], prompt: str, store_key: str) -> dict[str, Tensor]:
    """Decode the tensors in these row groups, each checked against its checksum.

    Raises:
        DamagedShardError: if the bytes changed on disk.
    """
    key = prompt_key(store_key, prompt)
    tensors = {}
    for row in _read(path, _EMBEDDINGS, None, groups):
        described = (row["name"], row["dtype"], json.dumps(row["shape"]))
        if row["sha256"] != row_digest(key, prompt, *described, row["data"]):
            raise DamagedShardError(f"{path}: checksum mismatch in the embeddings of {prompt!r}")
        tensors[row["name"]] = decode_tensor(row["data"], row["dtype"], row["shape"])
    return tensors


def _write(stream: IO[bytes], rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
    with pq.ParquetWriter(stream, schema, **options) as writer:
        for row in rows:
            writer.write_table(pa.Table.from_pylist([row], schema=schema))


def _read(
    path: Path, schema: pa.Schema, columns: list[str] | None, groups: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """These columns (default all) of these row groups (default all), as written under ``schema``."""
    try:
        # rows are small and few: reading ahead and a thread pool cost more than they bring
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            if not file.schema_arrow.equals(schema):
                raise DamagedShardError(f"{path}: its columns are not those of a shard")
            wanted = range(file.num_row_groups) if groups is None else groups
            return file.read_row_groups(list(wanted), columns=columns, use_threads=False).to_pylist()
    except FileNotFoundError as error:
        raise DamagedShardError(f"{path}: is missing") from error
    except (OSError, pa.ArrowException, ValueError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the system's refusal (permissions, open files, a lost disk) says nothing about the bytes
        raise DamagedShardError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error


def _groups(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, tuple[int, ...]]:
    groups: dict[str, tuple[int, ...]] = {}
    for group, row in enumerate(rows):
        groups[row[key]] = (*groups.get(row[key], ()), group)
    return groups
