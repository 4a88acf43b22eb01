"""What can be said of the model before anything is started: whether it is there, and whether the verb can use it."""

from __future__ import annotations

from recache_ray.config.root import Config
from recache_ray.errors import BadInputError


def check_model(config: Config) -> None:
    """Refuse within seconds what workers would refuse after they have started.

    The model of a cluster that is already running is not looked for: its machines may have what this one has not.

    Raises:
        BadInputError: if the model is not there or of another family, or makes videos, which references and rewards
            do not take yet.
    """
    section = config.model
    if section.kind == "shapes" and not section.path:
        return
    from recache_ray.diffusion.families import family_of
    from recache_ray.diffusion.hub import check_model as check_files

    family = family_of(section.kind)
    if config.runtime.kind == "inline" or not config.runtime.address:
        check_files(section.path, section.revision, expected_class=family.pipeline_class)
    if family.is_video:
        raise BadInputError(
            f"model.kind = {section.kind!r}: makes videos, and references and rewards take images so far; use an image "
            "model here, or run a schedule you have with recache.cached"
        )
