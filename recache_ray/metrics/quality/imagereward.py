"""ImageReward (Xu et al. 2023, arXiv 2304.05977) in an environment of its own, one process per worker."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.metrics.quality.environments import check_environment

_SCRIPT = Path(__file__).parent / "foreign" / "imagereward_process.py"


class ImageRewardScorer:
    """Scores of about -2 to 2. The process starts with the scorer and ends with it.

    Example: ``ImageRewardScorer("envs/imagereward")(frames, "a cat")``.

    Args:
        environment: folder made by :mod:`recache_ray.metrics.quality.environments`.
        path: folder with ``ImageReward.pt`` and ``med_config.json``; empty lets the package download them.
        device: where to compute.

    Raises:
        BadInputError: if the environment, the checkpoint or the package cannot be used.
    """

    def __init__(self, environment: str, path: str = "", device: str = "cpu") -> None:
        files = ["", ""]
        if path:
            files = [str(Path(path).expanduser() / name) for name in ("ImageReward.pt", "med_config.json")]
            for file in files:
                if not Path(file).is_file():
                    raise BadInputError(f"reward.quality_path = {path!r}: has no {Path(file).name}; put it there")
        interpreter = check_environment("imagereward", Path(environment))
        self._process = subprocess.Popen(
            [str(interpreter), str(_SCRIPT), *files, device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        answer = self._answer()
        if "error" in answer:
            self.close()
            raise BadInputError(
                f"reward.quality_env = {environment!r}: ImageReward did not start ({_short(answer['error'])}); give "
                "a folder with ImageReward.pt and med_config.json as reward.quality_path, or set reward.alpha=0"
            )

    def __call__(self, frames: NDArray[np.uint8], prompt: str) -> list[float]:
        """One score per frame, uint8 [N, H, W, 3].

        Raises:
            RunFailedError: if the process has ended or cannot score them.
        """
        header = json.dumps({"prompt": prompt, "shape": list(frames.shape)}) + "\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(header.encode() + np.ascontiguousarray(frames).tobytes())
            self._process.stdin.flush()
        except OSError as error:
            raise RunFailedError(f"ImageReward's process has ended ({error}); run the same command again") from error
        answer = self._answer()
        if "error" in answer:
            raise RunFailedError(f"ImageReward: {_short(answer['error'])}")
        return [float(score) for score in answer["scores"]]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait(timeout=60)

    def __del__(self) -> None:
        if hasattr(self, "_process") and self._process.poll() is None:
            self.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": "its process has ended"}


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
