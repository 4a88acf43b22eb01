"""HPSv2 (Wu et al. 2023, arXiv 2306.09341) and any other open_clip model: cosine of picture and prompt.

The ``hpsv2`` package builds its model anew and reads the checkpoint again on every call; here both happen once, and
frames go through in batches. Shapes: N frames, L tokens, D features, S side of the picture tower.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recache_ray.errors import BadInputError
from recache_ray.metrics.quality.fit import fit_longest_side
from recache_ray.metrics.quality.text_cache import TextCache
from recache_ray.metrics.quality.weights import SETTING, load_strictly, locate, read_state

HPS_HUB_ID = "xswu/HPSv2"
HPS_FILES = {"hpsv2.0": "HPS_v2_compressed.pt", "hpsv2.1": "HPS_v2.1_compressed.pt"}
HPS_ARCHITECTURE = "ViT-H-14"
_CONFIG, _WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
_MAX_FRAMES = 32  # per forward; ViT-H-14 holds about 0.1 GiB of activations a frame


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel of pixels in 0..1; the default is CLIP's own."""

    mean: Sequence[float] = open_clip.OPENAI_DATASET_MEAN
    deviation: Sequence[float] = open_clip.OPENAI_DATASET_STD


class OpenClipScorer:
    """Cosines between -1 and 1; HPSv2.1 gives good pictures 0.25 to 0.33, and papers print 100 times that.

    Example: ``OpenClipScorer.hps("hpsv2.1", "HPS_v2.1_compressed.pt")(frames, "a cat")``.

    Args:
        model: an open_clip model; it is moved to ``device`` and put into evaluation mode.
        tokenizer: from texts to ids [1, L].
        normalisation: of the pixels.
        device: where to compute; on a GPU in half-precision autocast, as the package does.
    """

    def __init__(
        self, model: Any, tokenizer: Any, normalisation: Normalisation | None = None, device: str = "cpu"
    ) -> None:
        self._model = model.eval().requires_grad_(False).to(device)
        self._device = torch.device(device)
        size = model.visual.image_size
        self._side = int(size[0] if isinstance(size, tuple | list) else size)
        used = normalisation or Normalisation()
        self._mean, self._deviation = (torch.tensor(v).view(3, 1, 1) for v in (used.mean, used.deviation))
        self._texts = TextCache(lambda prompt: self._encode_text(tokenizer([prompt])))

    @classmethod
    def hps(
        cls, version: str, path: str = "", revision: str = "", device: str = "cpu", architecture: str = HPS_ARCHITECTURE
    ) -> OpenClipScorer:
        """HPSv2.0 or 2.1 from a checkpoint file, a folder with it or a hub id; empty means the authors' on the hub.

        Raises:
            BadInputError: if the checkpoint cannot be found or read, or belongs to another architecture.
        """
        found = locate(path or HPS_HUB_ID, HPS_FILES[version], revision)
        model = _build(open_clip.get_model_config(architecture), found, architecture)
        return cls(model, open_clip.get_tokenizer(architecture), device=device)

    @classmethod
    def from_folder(cls, path: str, device: str = "cpu") -> OpenClipScorer:
        """A folder as open_clip itself loads it: ``open_clip_config.json``, ``open_clip_model.safetensors``, tokenizer.

        Raises:
            BadInputError: if a file is missing, damaged or does not fit the configuration.
        """
        folder = Path(path).expanduser()
        try:
            document = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
            config, prepared = dict(document["model_cfg"]), dict(document.get("preprocess_cfg", {}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                f"{SETTING} = {path!r}: has no readable {_CONFIG}; give a folder in open_clip's layout"
            ) from error
        model = _build(config, locate(str(folder), _WEIGHTS, ""), f"the {_CONFIG} beside it")
        normalisation = Normalisation(
            prepared.get("mean", Normalisation.mean), prepared.get("std", Normalisation.deviation)
        )
        return cls(model, open_clip.get_tokenizer(f"local-dir:{folder}"), normalisation, device)

    def __call__(self, frames: NDArray[np.uint8], prompt: str) -> list[float]:
        """Cosine of each of the frames, uint8 [N, H, W, 3], and the prompt."""
        text_D = self._texts(prompt)
        cosines: list[float] = []
        for start in range(0, len(frames), _MAX_FRAMES):
            pixels = fit_longest_side(frames[start : start + _MAX_FRAMES], self._side)
            image_ND = self._encode_image(((pixels - self._mean) / self._deviation).to(self._device))
            cosines += (image_ND @ text_D).tolist()
        return cosines

    @torch.inference_mode()
    def _encode_image(self, pixels: Tensor) -> Tensor:
        with self._autocast():
            return self._model.encode_image(pixels, normalize=True).float()

    @torch.inference_mode()
    def _encode_text(self, ids_1L: Tensor) -> Tensor:
        with self._autocast():
            return self._model.encode_text(ids_1L.to(self._device), normalize=True)[0].float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")


def _build(config: Mapping[str, Any], weights: Path, architecture: str) -> nn.Module:
    state = read_state(weights)
    # building the network draws from the global generator, which belongs to the caller
    with torch.random.fork_rng(devices=[]):
        model = open_clip.CLIP(**config)
    load_strictly(model, state, weights, architecture)
    return model
