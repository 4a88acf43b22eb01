"""The model behind its adapter, from the configuration."""

from __future__ import annotations

from recache_ray.config.root import Config
from recache_ray.diffusion.embedded import embedded_model
from recache_ray.diffusion.load import load_model
from recache_ray.diffusion.pipeline_adapter import PipelineAdapter


def make_adapter(config: Config) -> PipelineAdapter:
    """Load the diffusion model, without its text encoders until a prompt must be encoded."""
    embedded = embedded_model(config.model.kind, config.model.path)
    return load_model(config.model, config.model.path if embedded is None else str(embedded.folder))
