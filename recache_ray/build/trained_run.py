"""What a finished run left in its folder."""

from __future__ import annotations

from pathlib import Path

from recache_ray.build.trained_table import load_table
from recache_ray.config.root import Config
from recache_ray.errors import BadInputError
from recache_ray.policies.policy import BudgetPolicy
from recache_ray.schedules import ScheduleTable


def load_trained(config: Config) -> tuple[ScheduleTable, BudgetPolicy]:
    """The schedule table and the policy of a finished run.

    Raises:
        BadInputError: if the run has not finished or a file is damaged.
    """
    return load_table(config), load_policy(Path(config.run.dir) / "policy")


def load_policy(folder: Path) -> BudgetPolicy:
    """The policy in a folder written by a run.

    Raises:
        BadInputError: if it is damaged.
    """
    try:
        return BudgetPolicy.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadInputError(
            f"{folder}: cannot be read ({' '.join(str(error).split())[:200]}); "
            f"write it again: recache train run.dir={folder.parent}"
        ) from error
