"""Hydra composes plain data from conf/; it never instantiates anything and never touches the working directory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from recache_ray.cli.groups import conf_dir
from recache_ray.errors import BadInputError


def compose(primary: str, base: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Compose ``conf/<primary>.yaml`` on top of ``base`` and resolve it to nested plain data.

    Args:
        primary: ``config`` chooses the default option of every group, ``existing_run`` chooses none.
        base: the values of every setting that no group or override changes.
        overrides: in Hydra's grammar.

    Raises:
        BadInputError: if a value cannot be read, in one line naming the setting.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for override in overrides:
        _check_grammar(override)
    ConfigStore.instance().store(name="base", node=dict(base))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3", job_name="recache"):
            composed = hydra_compose(primary, list(overrides))
        plain = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        key = error.full_key or "a setting"
        raise BadInputError(f"{key}: {_first_line(error)}; correct the reference or escape it as \\${{...}}") from error
    except HydraException as error:
        raise BadInputError(f"settings do not compose: {_first_line(error)}; see --help") from error
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def _check_grammar(override: str) -> None:
    """Refuse what Hydra cannot parse, or would read as several values to sweep over."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    name, _, value = override.partition("=")
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise BadInputError(
            f"{name} = {value}: cannot be read as a value ({_first_line(error)}); check brackets and quotes"
        ) from error
    if parsed.is_sweep_override():
        raise BadInputError(f"{name} = {value}: is several values, must be one; run the command once for each")


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error).strip().split("\n")[0])
