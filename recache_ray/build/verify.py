"""The verb ``verify``: does the real library compute the exported steps?"""

from __future__ import annotations

from pathlib import Path

from recache_ray.build.export import make_export, source_of
from recache_ray.build.hub_folder import HUB
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.verification.targets import attach_file
from recache_ray.verification.tiny_pipelines import tiny_pipeline
from recache_ray.verification.verify import GENERATIONS, verify_schedule


def verify(config: Config) -> tuple[str, bool]:
    """Run ``export.file`` on a tiny model of the same pipeline class; text, and whether it is exact.

    Raises:
        BadInputError: if the target or pipeline class cannot be verified here, or the file is missing.
    """
    if config.export.to == HUB:
        raise BadInputError("export.to = hub: a folder to share, which no server runs; verify an export for a server")
    source = source_of(config)
    name = next(iter(make_export(config).files))
    path = Path(config.export.file) if config.export.file else Path(config.run.dir) / "export" / name
    attach = attach_file(config.export.to, path)
    tiny = tiny_pipeline(source.pipeline_class, source.separate_cfg)
    verdict = verify_schedule(tiny, attach, source.schedule)
    if not verdict.exact:
        return f"{path}: NOT the schedule of budget {source.schedule.budget}: {verdict.reason}", False
    return (
        f"{path}: exact over {GENERATIONS} generations of {source.pipeline_class}: {verdict.num_blocks} blocks in each "
        f"of the {source.schedule.budget} computed steps, {verdict.blocks_cached} in a cached one",
        True,
    )
