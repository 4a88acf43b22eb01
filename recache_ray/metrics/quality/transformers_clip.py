"""CLIPScore (Hessel et al. 2021), PickScore (Kirstain et al. 2023) through transformers: cosine of picture and prompt.

Shapes: N frames, D features.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

from recache_ray.errors import BadInputError
from recache_ray.metrics.quality.text_cache import TextCache
from recache_ray.metrics.quality.weights import SETTING

HUB_IDS = {"clipscore": "openai/clip-vit-large-patch14", "pickscore": "yuvalkirstain/PickScore_v1"}
_MAX_FRAMES = 32


class TransformersClipScorer:
    """Cosines between -1 and 1; published CLIPScores and PickScores are 100 times that (the logit scale of PickScore).

    Example: ``TransformersClipScorer("clipscore")(frames, "a cat")``.

    Args:
        kind: ``clipscore`` or ``pickscore``: which model an empty path means.
        path: folder with model, tokenizer and image processor, or hub id.
        revision: hub branch, tag or commit.
        device: where to compute; on a GPU in half-precision autocast.

    Raises:
        BadInputError: if the model cannot be found or read.
    """

    def __init__(self, kind: str, path: str = "", revision: str = "", device: str = "cpu") -> None:
        source = path or HUB_IDS[kind]
        self._device = torch.device(device)
        try:
            model, report = CLIPModel.from_pretrained(source, revision=revision or "main", output_loading_info=True)
            self._tokenizer = AutoTokenizer.from_pretrained(source, revision=revision or "main")
            self._prepare = AutoImageProcessor.from_pretrained(source, revision=revision or "main")
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:120]
            raise BadInputError(
                f"{SETTING} = {source!r}: no CLIP model of {kind} could be loaded from it ({reason}); download it "
                "where the hub can be reached and give the folder, or set reward.alpha=0"
            ) from error
        if report["missing_keys"]:
            raise BadInputError(
                f"{SETTING} = {source!r}: its weights lack {sorted(report['missing_keys'])[0]}; give a whole CLIP model"
            )
        self._model = model.eval().requires_grad_(False).to(self._device)
        self._texts = TextCache(self._encode_text)

    def __call__(self, frames: NDArray[np.uint8], prompt: str) -> list[float]:
        """Cosine of each of the frames, uint8 [N, H, W, 3], and the prompt."""
        text_D = self._texts(prompt)
        cosines: list[float] = []
        for start in range(0, len(frames), _MAX_FRAMES):
            pixels = self._prepare(images=list(frames[start : start + _MAX_FRAMES]), return_tensors="pt").pixel_values
            cosines += (self._encode_image(pixels.to(self._device)) @ text_D).tolist()
        return cosines

    @torch.inference_mode()
    def _encode_image(self, pixels: Tensor) -> Tensor:
        with self._autocast():
            return _unit(self._model.visual_projection(self._model.vision_model(pixels).pooler_output))

    @torch.inference_mode()
    def _encode_text(self, prompt: str) -> Tensor:
        ids = self._tokenizer(
            prompt, truncation=True, max_length=self._model.config.text_config.max_position_embeddings
        )
        batch = {name: torch.tensor([ids[name]], device=self._device) for name in ("input_ids", "attention_mask")}
        with self._autocast():
            return _unit(self._model.text_projection(self._model.text_model(**batch).pooler_output))[0]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._device.type == "cuda")


def _unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features.float(), dim=-1)
