"""What goes into the store comes out again, from any process, whatever order it was written in."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet
import pytest
import torch
from reference_samples import IDENTITY, bit_equal, make_reference, request_of, requests_of, tensors_bit_equal

from recache_ray.errors import BadInputError
from recache_ray.references.reference import Reference
from recache_ray.references.store import MissingReferenceError, ReferenceStore


def test_references_read_back_bit_for_bit_in_this_and_in_another_store_object(tmp_path: Path) -> None:
    requests = requests_of(5)
    references = [make_reference(request) for request in requests]
    store = ReferenceStore.open(tmp_path, IDENTITY)
    assert store.write(references[:3]) == 3
    assert store.write(references[3:]) == 2
    reopened = ReferenceStore.open(tmp_path, IDENTITY)
    for each in (store, reopened):
        assert len(each) == 5
        assert all(bit_equal(each.read(request), made) for request, made in zip(requests, references, strict=True))


def test_videos_keep_the_order_of_their_frames(tmp_path: Path) -> None:
    store = ReferenceStore.open(tmp_path, IDENTITY)
    references = [make_reference(request, frames=4) for request in requests_of(2)]
    store.write(references)
    assert all(bit_equal(store.read(reference.request), reference) for reference in references)


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool]
)
def test_every_dtype_round_trips_including_nan_scalar_and_empty(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "matrix": torch.arange(12).reshape(3, 4).to(dtype).t(),  # not contiguous
        "scalar": torch.tensor(1).to(dtype),
        "empty": torch.zeros(0, 4, dtype=dtype),
    }
    if dtype.is_floating_point:
        tensors["special"] = torch.tensor([float("nan"), float("-inf"), -0.0], dtype=dtype)
    image = make_reference(request_of(0)).image
    store = ReferenceStore.open(tmp_path, IDENTITY)
    store.write([Reference(request_of(0), image, tensors)])
    read = store.read(request_of(0)).embeddings
    assert read.keys() == tensors.keys()
    assert all(tensors_bit_equal(read[name], tensors[name]) for name in tensors)


def test_missing_lists_each_absent_request_once_in_order(tmp_path: Path) -> None:
    store = ReferenceStore.open(tmp_path, IDENTITY)
    store.write([make_reference(request_of(1))])
    asked = [request_of(2), request_of(1), request_of(0), request_of(2)]
    assert store.missing(asked) == (request_of(2), request_of(0))
    store.write([make_reference(request) for request in store.missing(asked)])
    assert store.missing(asked) == ()


def test_a_reference_belongs_to_its_text_and_seed_not_to_its_place_in_the_prompt_set(tmp_path: Path) -> None:
    store = ReferenceStore.open(tmp_path, IDENTITY)
    store.write([make_reference(request_of(1))])
    moved = request_of(1).__class__(request_of(1).prompt.__class__(99, "prompt 1", "test"), 7)
    assert store.read(moved).request == moved
    with pytest.raises(MissingReferenceError, match="noise seed 8"):
        store.read(request_of(1, noise_seed=8))


def test_writing_the_same_references_again_adds_nothing(tmp_path: Path) -> None:
    references = [make_reference(request) for request in requests_of(3)]
    first, second = ReferenceStore.open(tmp_path, IDENTITY), ReferenceStore.open(tmp_path, IDENTITY)
    assert first.write(references) == 3
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert second.write(references) == 0
    assert first.write([*references, references[0]]) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == before


def test_a_task_written_by_two_stores_is_one_shard_of_the_same_name(tmp_path: Path) -> None:
    references = [make_reference(request) for request in requests_of(3)]
    for folder in ("a", "b"):
        ReferenceStore.open(tmp_path / folder, IDENTITY).write(references)
    files = [{path.name: path.read_bytes() for path in (tmp_path / folder / "images").iterdir()} for folder in "ab"]
    assert len(files[0]) == 1
    assert files[0] == files[1]


def test_copies_resolve_alike_in_every_process(tmp_path: Path) -> None:
    """Two shards with different bytes for one request: every reader takes the same, whichever it saw first."""
    plain = make_reference(request_of(0))
    other = Reference(plain.request, 255 - plain.image, plain.embeddings)
    for folder, reference in (("a", plain), ("b", other)):
        ReferenceStore.open(tmp_path / folder, IDENTITY).write([reference])
    early = ReferenceStore.open(tmp_path / "b", IDENTITY)
    for kind in ("images", "embeddings"):
        for path in (tmp_path / "a" / kind).iterdir():
            path.replace(tmp_path / "b" / kind / path.name)
    early.refresh()
    late = ReferenceStore.open(tmp_path / "b", IDENTITY)
    assert len(early) == len(late) == 1
    assert bit_equal(early.read(request_of(0)), late.read(request_of(0)))


def test_read_sees_what_another_process_wrote_meanwhile(tmp_path: Path) -> None:
    reader, writer = ReferenceStore.open(tmp_path, IDENTITY), ReferenceStore.open(tmp_path, IDENTITY)
    writer.write([make_reference(request_of(0))])
    assert bit_equal(reader.read(request_of(0)), make_reference(request_of(0)))


def _write_alone(directory: Path, numbers: list[int]) -> None:
    store = ReferenceStore.open(directory, IDENTITY)
    for number in numbers:
        store.write([make_reference(request_of(number))])


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    forked = multiprocessing.get_context("fork")
    orders = [list(range(8)), list(range(7, -1, -1)), [3, 9, 0, 8]]
    processes = [forked.Process(target=_write_alone, args=(tmp_path, order)) for order in orders]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = ReferenceStore.open(tmp_path, IDENTITY)
    assert store.missing(requests_of(10)) == ()
    assert all(bit_equal(store.read(request), make_reference(request)) for request in requests_of(10))
    assert not (tmp_path / "damaged").exists()


def test_files_are_what_other_tools_expect(tmp_path: Path) -> None:
    """One frame per row and per row group, pyarrow reads both folders, and the metadata is that of ``datasets``."""
    store = ReferenceStore.open(tmp_path, IDENTITY)
    store.write([make_reference(request) for request in (*requests_of(2), request_of(0, noise_seed=8))])
    table = pyarrow.dataset.dataset(tmp_path / "images").to_table()
    assert sorted(zip(table["prompt"].to_pylist(), table["noise_seed"].to_pylist(), strict=True)) == [
        ("prompt 0", 7),
        ("prompt 0", 8),
        ("prompt 1", 7),
    ]
    assert table["image"][0]["bytes"].as_py().startswith(b"\x89PNG")
    assert pyarrow.dataset.dataset(tmp_path / "embeddings").count_rows() == 2 * 2  # two prompts, two tensors each
    file = pyarrow.parquet.ParquetFile(next((tmp_path / "images").iterdir()))
    assert file.num_row_groups == file.metadata.num_rows == 3
    features = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert set(features) == set(file.schema_arrow.names)
    assert features["image"] == {"_type": "Image"}
    assert features["noise_seed"] == {"dtype": "int64", "_type": "Value"}


def test_closing_forgets_nothing_on_disk(tmp_path: Path) -> None:
    store = ReferenceStore.open(tmp_path, IDENTITY)
    store.write([make_reference(request_of(0))])
    store.close()
    store.close()
    assert len(ReferenceStore.open(tmp_path, IDENTITY)) == 1


def test_a_reference_must_be_frames_of_rgb_bytes() -> None:
    image = make_reference(request_of(0)).image
    for wrong in (image[0], image.astype("float32"), image[..., :1], image[:0]):
        with pytest.raises(ValueError, match="uint8"):
            Reference(request_of(0), wrong, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_steps": 50}, "holds references of num_steps = 20, this run needs 50; choose another references.dir"),
        ({"model": "big", "guidance": 3.5}, "guidance = 1.5, model = tiny, this run needs 3.5, big; choose"),
        ({"revision": "main"}, "revision = absent, this run needs main"),
        ({f"extra{i}": i for i in range(5)}, r"\(2 more differ\)"),
    ],
)
def test_another_identity_is_refused_by_name(
    tmp_path: Path, change: dict[str, str | int | float], message: str
) -> None:
    ReferenceStore.open(tmp_path, IDENTITY)
    with pytest.raises(BadInputError, match=message) as caught:
        ReferenceStore.open(tmp_path, {**IDENTITY, **change})
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    ReferenceStore.open(tmp_path, dict(reversed(IDENTITY.items())))  # the order of the fields is no difference


def test_shards_of_another_store_are_refused_even_under_the_right_manifest(tmp_path: Path) -> None:
    other = ReferenceStore.open(tmp_path / "other", {**IDENTITY, "num_steps": 50})
    other.write([make_reference(request_of(0))])
    ReferenceStore.open(tmp_path / "mine", IDENTITY)
    for kind in ("images", "embeddings"):
        for path in (tmp_path / "other" / kind).iterdir():
            path.replace(tmp_path / "mine" / kind / path.name)
    with pytest.raises(BadInputError, match="written by another store; remove that file"):
        ReferenceStore.open(tmp_path / "mine", IDENTITY)
    assert not (tmp_path / "mine" / "damaged").exists()
