"""VBench (Huang et al. 2024, arXiv 2311.17982) in an environment of its own: judges finished videos, is no reward."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Sequence
from pathlib import Path

from recache_ray.errors import BadInputError, RunFailedError
from recache_ray.metrics.quality.environments import check_environment

DIMENSIONS = (
    "subject_consistency",
    "background_consistency",
    "temporal_flickering",
    "motion_smoothness",
    "dynamic_degree",
    "aesthetic_quality",
    "imaging_quality",
    "overall_consistency",
)
"""What VBench can measure of videos with prompts of one's own and without detectron2."""

_SCRIPT = Path(__file__).parent / "foreign" / "vbench_process.py"
_RESULTS = "recache_eval_results.json"


def run_vbench(
    environment: Path, videos: Path, output: Path, dimensions: Sequence[str] = DIMENSIONS, device: str = "cpu"
) -> dict[str, float]:
    """Measure a folder of mp4 files, each named after its prompt; dimension to score, as VBench gives it.

    VBench downloads the models that a dimension needs into ``VBENCH_CACHE_DIR``; ``temporal_flickering`` needs none.

    Raises:
        BadInputError: if the environment, the folder or a dimension cannot be used.
        RunFailedError: if VBench fails or its results cannot be read.
    """
    for name in dimensions:
        if name not in DIMENSIONS:
            raise BadInputError(f"VBench dimension {name!r}: must be one of {', '.join(DIMENSIONS)}")
    if not any(videos.glob("*.mp4")):
        raise BadInputError(f"{videos}: holds no .mp4 file; export the videos there first")
    interpreter = check_environment("vbench", environment)
    output.mkdir(parents=True, exist_ok=True)
    (output / _RESULTS).unlink(missing_ok=True)
    command = [str(interpreter), str(_SCRIPT), str(videos), str(output), device, *dimensions]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise RunFailedError(f"VBench failed ({said[-1].strip()[:200]}); its models must be in VBENCH_CACHE_DIR")
    return _read(output / _RESULTS, dimensions)


def _read(path: Path, dimensions: Sequence[str]) -> dict[str, float]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        scores = {name: float(document[name][0]) for name in dimensions}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise RunFailedError(f"{path}: is not a result of VBench ({type(error).__name__}: {error})") from error
    for name, score in scores.items():
        if not math.isfinite(score):
            raise RunFailedError(f"{path}: {name} is {score}; are the videos readable?")
    return scores
