"""The first picture waits for what the engine's process imports, so that it is only what drawing needs."""

from __future__ import annotations

import subprocess
import sys

# scipy and peft come with diffusers and transformers, which import them wherever they are installed
_NOT_FOR_DRAWING = (
    "torchmetrics",
    "matplotlib",
    "lpips",
    "open_clip",
    "pandas",
    "pyarrow",
    "mlflow",
    "ray",
    "hydra",
    "recache_ray.evaluation",
    "recache_ray.learning",
    "recache_ray.metrics",
    "recache_ray.policies",
    "recache_ray.references",
    "recache_ray.rewards",
    "recache_ray.rollouts",
)


def test_an_engine_imports_nothing_of_rewards_evaluation_or_learning() -> None:
    program = (
        "import sys, recache_ray.build.picture_engine\n"
        f"print([name for name in {_NOT_FOR_DRAWING!r} if name in sys.modules], 'diffusers' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"


def test_the_command_waits_beside_its_replicas_without_torch() -> None:
    program = "import sys, recache_ray.build.serve; print([m for m in ('torch', 'ray.serve') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_is_made_beside_the_model_without_torch() -> None:
    program = "import sys, recache_ray.build.demo; print([m for m in ('torch', 'gradio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_process_that_speaks_http_reads_pictures_without_torch() -> None:
    modules = "recache_ray.distributed.engine_host, recache_ray.serving.drawn_picture, recache_ray.serving.http"
    program = f"import sys, {modules}; print('torch' in sys.modules, 'ray.serve' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
