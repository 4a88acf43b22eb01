"""Answers scoring requests with ImageReward: a JSON line and raw pixels in, a JSON line out.

Usage: python imagereward_process.py CHECKPOINT MED_CONFIG DEVICE; empty arguments mean the package's own download.
A request is ``{"prompt": ..., "shape": [N, H, W, 3]}`` and N*H*W*3 bytes; the answer ``{"scores": [...]}``.
"""

import json
import sys
from typing import Any, TextIO

import numpy as np


def main(checkpoint: str, med_config: str, device: str) -> None:
    replies, sys.stdout = sys.stdout, sys.stderr  # the package prints while it loads
    try:
        import ImageReward
        import torch
        from PIL import Image

        model = ImageReward.load(checkpoint or "ImageReward-v1.0", device=device, med_config=med_config or None)
    except Exception as error:
        reply(replies, {"error": f"{type(error).__name__}: {error}"})
        return
    reply(replies, {"ready": True})
    while True:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        request = json.loads(line.decode("utf-8"))
        pixels = np.frombuffer(sys.stdin.buffer.read(int(np.prod(request["shape"]))), dtype=np.uint8)
        try:
            with torch.no_grad():
                frames = [Image.fromarray(frame) for frame in pixels.reshape(request["shape"])]
                scores = [float(model.score(request["prompt"], frame)) for frame in frames]
            reply(replies, {"scores": scores})
        except Exception as error:
            reply(replies, {"error": f"{type(error).__name__}: {error}"})


def reply(stream: TextIO, document: dict[str, Any]) -> None:
    stream.write(json.dumps(document) + "\n")
    stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
