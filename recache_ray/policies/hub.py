"""How a policy is saved, shared and loaded: config.json, model.safetensors and a short model card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from recache_ray.errors import BadInputError

_WEIGHTS = "model.safetensors"
_CARD = """---
{{ card_data }}
---

# Caching schedules for any compute budget

A recache_ray policy for a diffusion model run with {{ num_steps }} denoising steps. For a budget of k computed steps it
says which steps to compute; a caching mechanism predicts the others. Learned for the budgets {{ budgets }} with the
`{{ kind }}` distribution over schedules.

```python
import recache_ray as recache

policy = recache.BudgetPolicy.from_pretrained("this/repository")
schedule = policy.schedule(budget={{ budgets[-1] }}, num_steps={{ num_steps }})
```
"""


class PolicyHubMixin(
    PyTorchModelHubMixin,
    library_name="recache_ray",
    license="apache-2.0",
    tags=["diffusion", "caching", "acceleration"],
    model_card_template=_CARD,
):
    """huggingface_hub's mixin, with safetensors only, every tensor checked, and one-line errors."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Self:
        """Load from a local folder or a hub repository.

        Args:
            pretrained_model_name_or_path: folder written by ``save_pretrained``, or a hub id.
            kwargs: ``revision``, ``token``, ``cache_dir``, ``force_download``, ``local_files_only``, as for the hub.

        Raises:
            BadInputError: if there is no such policy, or its files do not fit together.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            name, reason = pretrained_model_name_or_path, str(error).splitlines()[0]
            raise BadInputError(
                f"policy {name}: neither a folder nor a hub repository within reach ({reason}); check the path"
            ) from error

    def _save_pretrained(self, save_directory: Path) -> None:
        """Called by ``save_pretrained`` and ``push_to_hub``; a reader never sees half-written weights."""
        assert isinstance(self, nn.Module)
        partial = save_directory / f".{_WEIGHTS}.partial"
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(save_directory / _WEIGHTS)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> Self:
        """Called by ``from_pretrained`` with the values of config.json among ``kwargs``."""
        download = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        config = {name: value for name, value in kwargs.items() if name not in download}
        missing = {"num_steps", "budgets"} - set(config)
        if missing:
            raise BadInputError(f"policy {model_id}: its config.json is missing or lacks {', '.join(sorted(missing))}")
        if Path(model_id).is_dir():
            file = Path(model_id) / _WEIGHTS
        else:
            file = Path(hf_hub_download(model_id, _WEIGHTS, **{name: kwargs[name] for name in download}))
        policy = cls(**config)
        assert isinstance(policy, nn.Module)
        try:
            policy.load_state_dict(load_file(file))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BadInputError(
                f"policy {file}: not the weights of this config.json ({reason}); save it again"
            ) from error
        return policy.eval()

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The README.md of a saved policy."""
        config = self._hub_mixin_config
        assert isinstance(config, dict)
        return super().generate_model_card(*args, **config, **kwargs)
