"""Settings of the demo page, the server and its load test."""

from __future__ import annotations

from dataclasses import dataclass

from recache_ray.config.knobs import knob


@dataclass(frozen=True)
class DemoConfig:
    """A page on this machine where anyone can move the budget."""

    port: int = knob(7860, "port of 127.0.0.1, the only address it listens on; 0 takes a free one", ge=0, le=65535)
    prompt: str = knob("a large red circle on the left of a blue background", "prompt the page opens with")


@dataclass(frozen=True)
class ServeConfig:
    """Pictures over HTTP, a budget in every request."""

    host: str = knob("127.0.0.1", "address to listen on; another one is open to whoever reaches it", required=True)
    port: int = knob(8000, "port of the server", ge=1, le=65535)
    replicas: int = knob(1, "copies of the model", ge=1, le=1024)
    cpus_per_replica: float = knob(1.0, "CPUs reserved per copy", ge=0)
    gpus_per_replica: float = knob(0.0, "GPUs reserved per copy; may be fractional", ge=0)
    max_batch: int = knob(8, "requests generated together, whatever their budgets", ge=1, le=256)
    batch_wait_s: float = knob(0.05, "longest wait for a batch to fill", ge=0, le=60)
    max_queued: int = knob(128, "requests waiting for a copy; further ones are told to come later (503)", ge=1)
    max_prompt_chars: int = knob(1000, "longest prompt", ge=1, le=100_000)


@dataclass(frozen=True)
class LoadConfig:
    """Clients that try a running server."""

    url: str = knob("http://127.0.0.1:8000", "server to try", required=True)
    clients: int = knob(16, "clients, each with one request under way at a time", ge=1, le=1024)
    seconds: float = knob(60.0, "how long they go on", gt=0, le=86_400)
    seed: int = knob(0, "of budgets, prompts and noise seeds", ge=0)
