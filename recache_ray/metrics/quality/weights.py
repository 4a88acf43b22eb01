"""Finding and reading the weights of a quality model, with one clear line where that fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors.torch import load_file
from torch import Tensor, nn

from recache_ray.errors import BadInputError

SETTING = "reward.quality_path"
_SHOWN = 2


def locate(path: str, file: str, revision: str) -> Path:
    """The file ``path`` itself, ``file`` inside the folder ``path``, or ``file`` of the hub model ``path``.

    Raises:
        BadInputError: if it is nowhere.
    """
    local = Path(path).expanduser()
    if local.is_file():
        return local
    if local.is_dir():
        if not (local / file).is_file():
            raise BadInputError(f"{SETTING} = {path!r}: the folder has no {file}; give the checkpoint itself")
        return local / file
    if local.is_absolute() or path.startswith((".", "~")) or path.count("/") != 1:
        raise BadInputError(f"{SETTING} = {path!r}: no such file; give the checkpoint {file} or a hub id")
    try:
        return Path(hf_hub_download(path, file, revision=revision or None))
    except (OSError, HfHubHTTPError, HFValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise BadInputError(
            f"{SETTING} = {path!r}: not a file, and the hub did not give {file} ({reason}); download {file} where the "
            "hub can be reached and give its path, or set reward.alpha=0"
        ) from error


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a ``.pt`` file whose pickle may hold tensors and nothing else.

    Checkpoints of a training (``{"state_dict": ...}``) and of data-parallel models (``module.``) are unwrapped.

    Raises:
        BadInputError: if the file is cut short, or not a checkpoint.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        state = loaded.get("state_dict", loaded)
        return {str(name).removeprefix("module."): value for name, value in state.items() if isinstance(value, Tensor)}
    except Exception as e:  # a damaged file makes the readers raise nearly anything
        reason = " ".join(str(e).split())[:120] or type(e).__name__
        raise BadInputError(
            f"{SETTING} = {str(path)!r}: cannot be read as weights ({reason}); it may be cut short: download it again"
        ) from e


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], path: Path, architecture: str) -> None:
    """Take over ``state``, which must have exactly the model's names and shapes.

    Raises:
        BadInputError: naming the first differences.
    """
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in state.items()}
    differing = [
        f"{name} is {given.get(name, 'absent')} instead of {own.get(name, 'absent')}"
        for name in sorted(own.keys() | given.keys())
        if own.get(name) != given.get(name)
    ]
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise BadInputError(
            f"{SETTING} = {str(path)!r}: is not a checkpoint of {architecture}: {', '.join(differing[:_SHOWN])}{more}; "
            "give the one that belongs to reward.quality"
        )
    model.load_state_dict(dict(state))
