"""The diffusion model and the generation protocol."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.embedded import EMBEDDED_KINDS
from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class ModelConfig:
    """The diffusion model and the generation protocol."""

    kind: str = knob(
        "shapes",
        "model family, picks the adapter",
        choices=(
            *EMBEDDED_KINDS,
            "flux",
            "wan",
            "hunyuan_video",
            "sd3",
            "pixart_sigma",
            "cogvideox",
            "qwen_image",
            "ltx",
        ),
    )
    path: str = knob("", "local folder or hub id of the pipeline; empty means the embedded one (shapes, shapes-video)")
    revision: str = knob("", "hub revision; empty means the default branch")
    dtype: str = knob("float32", "weights and activations", choices=("float32", "bfloat16", "float16"))
    device: str = knob("auto", "auto takes a GPU when the worker has one", choices=("auto", "cpu", "cuda"))
    offload: str = knob(
        "none", "model moves each part to the GPU for its turn: less memory, more time", choices=("none", "model")
    )
    vae_tiling: bool = knob(False, "decode in overlapping tiles: less memory, other pixels at the seams")
    num_steps: int = knob(20, "T, denoising steps; below 10 there is little to take from a cache", ge=2, le=1000)
    height: int = knob(64, "pixels; AlexNet LPIPS needs 32", ge=32)
    width: int = knob(64, "pixels; AlexNet LPIPS needs 32", ge=32)
    frames: int = knob(1, "frames of a video; 1 for images", ge=1)
    fps: int = knob(16, "frames per second of a video file that is written", ge=1, le=240)
    guidance_scale: float = knob(
        1.0,
        "flux, hunyuan_video: embedded guidance, ignored by shapes; others: classifier-free guidance, off at 1",
        ge=0,
    )
    negative_prompt: str = knob("", "what classifier-free guidance leads away from")
    flow_shift: float = knob(0.0, "shift of the timesteps of a flow; 0 keeps the scheduler's own", ge=0, le=100)
    max_text_tokens: int = knob(24, "length the prompt embedding is padded to", ge=1, le=1024)
