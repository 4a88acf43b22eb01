"""Runs VBench over a folder of videos: python vbench_process.py VIDEOS OUTPUT DEVICE DIMENSION [DIMENSION ...].

The prompt of a video is its file name. Leaves ``recache_eval_results.json`` in OUTPUT, as VBench writes it.
"""

import sys
from pathlib import Path


def main(videos: str, output: str, device: str, *dimensions: str) -> None:
    import torch
    import vbench

    info = str(Path(vbench.__file__).parent / "VBench_full_info.json")
    bench = vbench.VBench(torch.device(device), info, output)
    bench.evaluate(videos_path=videos, name="recache", dimension_list=list(dimensions), mode="custom_input")


if __name__ == "__main__":
    main(*sys.argv[1:])
