"""Typed configuration. ``recache_ray.config.root`` holds the whole and is seen by build and cli only."""
