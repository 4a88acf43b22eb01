"""How each format that can be verified is loaded into its library."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from recache_ray.errors import BadInputError
from recache_ray.verification.tiny_pipelines import TinyPipeline
from recache_ray.verification.verify import Attach


def attach_file(target: str, path: Path) -> Attach:
    """What switches the exported file ``path`` on.

    Raises:
        BadInputError: if this target cannot be verified here, or the library is not installed.
    """
    if target not in _ATTACH:
        raise BadInputError(
            f"export.to = {target!r}: cannot be run here; what can: {', '.join(_ATTACH)}. Verify it on the server"
        )
    if target != "diffusers" and importlib.util.find_spec("cache_dit") is None:
        raise BadInputError("cache-dit is not installed; pip install 'recache_ray[cache-dit]'")
    if not path.is_file():
        raise BadInputError(f"{path}: no such file; write it first: recache export to={target}")
    logging.getLogger("cache_dit").setLevel(logging.ERROR)  # it reports every block on stdout
    return lambda tiny: _ATTACH[target](tiny, path)


def _cache_dit_yaml(tiny: TinyPipeline, path: Path) -> None:
    import cache_dit

    cache_dit.enable_cache(tiny.pipe, **cache_dit.load_configs(str(path)))


def _python_module(tiny: TinyPipeline, path: Path) -> None:
    _module(path).enable(tiny.pipe)


def _sglang(tiny: TinyPipeline, path: Path) -> None:
    """As SGLang's native backend reads its environment: bins to a mask, the mask to cache-dit."""
    import cache_dit

    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    pairs = (line.partition("=") for line in lines)
    found = {name.removeprefix("SGLANG_CACHE_DIT_"): value for name, _, value in pairs}
    bins = [[int(length) for length in found[f"SCM_{kind}_BINS"].split(",")] for kind in ("COMPUTE", "CACHE")]
    mask = cache_dit.steps_mask(compute_bins=bins[0], cache_bins=bins[1], total_steps=sum(map(sum, bins)))
    calibrator: Any = None
    if found.get("TAYLORSEER") == "true":
        calibrator = cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=int(found["TS_ORDER"]))
    cache_dit.enable_cache(
        tiny.pipe,
        cache_config=cache_dit.DBCacheConfig(
            num_inference_steps=len(mask),
            steps_computation_mask=mask,
            steps_computation_policy=found["SCM_POLICY"],
            Fn_compute_blocks=int(found["FN"]),
            Bn_compute_blocks=int(found["BN"]),
            enable_separate_cfg=tiny.forwards_per_step > 1,
        ),
        calibrator_config=calibrator,
    )


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise BadInputError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ATTACH: Mapping[str, Callable[[TinyPipeline, Path], None]] = {
    "cache-dit": _cache_dit_yaml,
    "cache-dit-python": _python_module,
    "sglang": _sglang,
    "diffusers": _python_module,
}
