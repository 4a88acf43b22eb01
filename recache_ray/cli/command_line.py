"""A configuration as the settings one would type to get it: the inverse of :mod:`recache_ray.cli.resolve`."""

from __future__ import annotations

from collections.abc import Collection

from recache_ray.cli.catalogue import settings
from recache_ray.cli.overrides import quoted, without_references
from recache_ray.config.knobs import to_mapping
from recache_ray.config.root import Config


def typed_settings(config: Config, *, but: Collection[str] = ()) -> list[str]:
    """``name=value`` for everything that a fresh run without arguments would have otherwise.

    Args:
        config: to be said.
        but: sections left out.
    """
    said = to_mapping(config)
    default = to_mapping(Config())
    pairs = []
    for path, setting in settings().items():
        section, name = path.split(".", 1)
        value = said[section][name]
        if section in but or value == default[section][name]:
            continue
        pairs.append(f"{path}={_typed(value, text=setting.is_text)}")
    return pairs


def _typed(value: object, *, text: bool = False) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(_typed(item) for item in value)}]"
    if isinstance(value, str):
        # every text setting is quoted for Hydra where it is read; elsewhere it has to come quoted
        return without_references(value) if text else quoted(without_references(value))
    return str(value)
