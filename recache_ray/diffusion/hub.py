"""From what a user calls a model to a local folder with its files, and one clear line where that fails."""

from __future__ import annotations

import json
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from recache_ray.errors import BadInputError


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
        if folder.is_absolute() or path.startswith((".", "~")) or path.count("/") != 1:
            raise BadInputError(f"model.path = {path!r}: no such folder; give one with model_index.json or a hub id")
        folder = _download(path, revision)
        origin = f"{path}@{folder.name}"
    found = _pipeline_class(folder)
    if found != expected_class:
        raise BadInputError(f"model.path = {path!r}: is a {found}, this adapter runs {expected_class}; set model.kind")
    return folder, origin


def _download(hub_id: str, revision: str) -> Path:
    try:
        return Path(DiffusionPipeline.download(hub_id, revision=revision or None))
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise BadInputError(
            f"model.path = {hub_id!r}: not a folder, and the hub did not give it ({reason}); "
            "download it where the hub can be reached and give the folder"
        ) from error


def _pipeline_class(folder: Path) -> str:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return str(index["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"model.path = {str(folder)!r}: has no readable model_index.json; give a folder written by save_pretrained"
        ) from error
