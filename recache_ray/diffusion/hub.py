"""From what a user calls a model to a local folder with its files, and one clear line where that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError

from recache_ray.diffusion.families import family_of_pipeline, known_pipelines
from recache_ray.errors import BadInputError

_ANSWER_WITHIN_S = 10.0
_HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]
"""The base of the HTTP library's own errors; which library that is depends on the version of huggingface_hub."""


def resolve_folder(path: str, revision: str, *, expected_class: str) -> tuple[Path, str]:
    """Find or download the pipeline ``path``.

    Args:
        path: a folder written by ``save_pretrained``, or a hub id such as ``black-forest-labs/FLUX.1-dev``.
        revision: hub branch, tag or commit; empty for the default branch; not used for folders.
        expected_class: pipeline class its ``model_index.json`` must name.

    Returns:
        The folder, and ``id@commit`` of a hub model (empty for a folder the user made).

    Raises:
        BadInputError: if there is no such folder or hub model, the hub cannot be reached, or the class is another.
    """
    folder, origin = Path(path).expanduser(), ""
    if not folder.is_dir():
        check_reachable(path, revision)
        with _explained(path):
            folder = Path(DiffusionPipeline.download(path, revision=revision or None))
        origin = f"{path}@{folder.name}"
    _check_class(path, folder, expected_class)
    return folder, origin


def check_model(path: str, revision: str, *, expected_class: str) -> None:
    """What :func:`resolve_folder` would refuse, told within seconds and without downloading anything.

    Raises:
        BadInputError: if there is no such folder or hub model, the hub cannot be reached or does not let this user in,
            or the class of a folder is another.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        _check_class(path, folder, expected_class)
    else:
        check_reachable(path, revision)


def check_reachable(path: str, revision: str) -> None:
    """Ask once whether the hub would give ``path``, unless its files are here already: a download retries for long.

    Raises:
        BadInputError: if ``path`` looks like a folder, or the hub does not answer or does not let this user in.
    """
    if Path(path).is_absolute() or path.startswith((".", "~")) or path.count("/") != 1:
        raise BadInputError(f"model.path = {path!r}: no such folder; give one with model_index.json or a hub id")
    with _explained(path):
        if isinstance(try_to_load_from_cache(path, "model_index.json", revision=revision or None), str):
            return
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set and the model is not in the cache")
        hub = HfApi()
        hub.model_info(path, revision=revision or None, timeout=_ANSWER_WITHIN_S)
        hub.auth_check(path)


@contextmanager
def _explained(hub_id: str) -> Iterator[None]:
    """Turn what goes wrong with the hub into one line that says what to download and how."""
    page = f"https://huggingface.co/{hub_id}"
    try:
        yield
    except GatedRepoError as error:
        raise BadInputError(
            f"model.path = {hub_id!r}: needs its licence accepted at {page} by the user of your token; accept it "
            "there, log in with: hf auth login, and run this again"
        ) from error
    except (OSError, HfHubHTTPError, HFValidationError, _HTTP_ERROR, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise BadInputError(
            f"model.path = {hub_id!r}: not a folder, and the hub did not give it ({reason}); where the hub can be "
            f"reached accept the licence at {page} if it asks for that, run: hf download {hub_id} --local-dir FOLDER, "
            "and set model.path=FOLDER"
        ) from error


def _check_class(path: str, folder: Path, expected_class: str) -> None:
    found = _pipeline_class(folder)
    if found == expected_class:
        return
    family = family_of_pipeline(found)
    if family is None:
        raise BadInputError(
            f"model.path = {path!r}: is a {found}, which has no adapter; there are {known_pipelines()}, and "
            "docs/adapters.md says how to write one"
        )
    raise BadInputError(
        f"model.path = {path!r}: is a {found}, this adapter runs {expected_class}; set model.kind={family.kind}"
    )


def _pipeline_class(folder: Path) -> str:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return str(index["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"model.path = {str(folder)!r}: has no readable model_index.json; give a folder written by save_pretrained"
        ) from error
