"""Lossless bytes of images and tensors, and the checksums that guard them. Shapes: F frames, H height, W width."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from torch import Tensor

_PNG_LEVEL = 1  # level 6 takes half as long again and saves little on generated images


def encode_png(frame: NDArray[np.uint8]) -> bytes:
    """PNG bytes of a uint8 [H, W, 3] frame."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def decode_png(data: bytes) -> NDArray[np.uint8]:
    """The uint8 [H, W, 3] frame of :func:`encode_png`."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"), dtype=np.uint8)


def encode_frames(frames: NDArray[np.uint8]) -> bytes:
    """PNG bytes of uint8 frames [F, H, W, 3]: a picture where F is 1, else an animated PNG with every frame."""
    first, *others = [Image.fromarray(frame) for frame in frames]
    if not others:
        return encode_png(frames[0])
    buffer = io.BytesIO()
    # without durations, with which equal neighbours would become one longer frame
    first.save(buffer, format="PNG", compress_level=_PNG_LEVEL, save_all=True, append_images=others)
    return buffer.getvalue()


def decode_frames(data: bytes) -> NDArray[np.uint8]:
    """The uint8 frames [F, H, W, 3] of :func:`encode_frames`."""
    with Image.open(io.BytesIO(data)) as image:
        return np.stack([np.array(frame.convert("RGB"), dtype=np.uint8) for frame in ImageSequence.Iterator(image)])


def encode_tensor(tensor: Tensor) -> tuple[bytes, str, list[int]]:
    """Raw bytes, dtype name and shape. Arrow has no bfloat16, so every dtype is stored as bytes."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes(), str(tensor.dtype).removeprefix("torch."), list(tensor.shape)


def decode_tensor(data: bytes, dtype: str, shape: list[int]) -> Tensor:
    """The tensor of :func:`encode_tensor`, bit for bit, in memory of its own."""
    kind = getattr(torch, dtype)
    if not data:
        return torch.empty(shape, dtype=kind)
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy()).view(kind).reshape(shape)


def row_digest(*fields: str | int | bytes) -> str:
    """SHA-256 (hex) over the fields of a row, each length-prefixed so that none can run into the next."""
    digest = hashlib.sha256()
    for field in fields:
        payload = field if isinstance(field, bytes) else str(field).encode()
        digest.update(len(payload).to_bytes(8, "little"))
        digest.update(payload)
    return digest.hexdigest()
