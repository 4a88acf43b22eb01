"""What can be said of the model before anything is started: whether it is there, and whether the verb can use it."""

from __future__ import annotations

from recache_ray.config.root import Config
from recache_ray.diffusion.embedded import embedded_model


def check_model(config: Config) -> None:
    """Refuse within seconds what workers would refuse after they have started.

    The model of a cluster that is already running is not looked for: its machines may have what this one has not.

    Raises:
        BadInputError: if the model is not there or of another family.
    """
    section = config.model
    if embedded_model(section.kind, section.path) is not None:
        return
    from recache_ray.diffusion.families import family_of
    from recache_ray.diffusion.hub import check_model as check_files

    if config.runtime.kind == "inline" or not config.runtime.address:
        check_files(section.path, section.revision, expected_class=family_of(section.kind).pipeline_class)
