"""A snapshot without the parameters of budgets that its receiver will not sample."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import numpy as np

from recache_ray.types import PolicySnapshot


def narrowed(snapshot: PolicySnapshot, budgets: Collection[int]) -> PolicySnapshot:
    """The same policy as far as ``budgets`` go, bit for bit, in as few bytes as that takes.

    Tables keep the shared row and the rows of these budgets: at T = 50 a row is 5 kB, and the rows of 21 budgets
    together are more than Ray sends inside a call (100 kB). A network is the same for all budgets. Budgets that were
    not trained leave the snapshot as it is.
    """
    trained = list(cast(list[int], snapshot.config["budgets"]))
    kept = sorted(set(budgets))
    if snapshot.config["parameterisation"] != "tables" or not kept or not set(kept) < set(trained):
        return snapshot
    rows = np.frombuffer(snapshot.parameters, dtype="<f4").reshape(1 + len(trained), -1)  # shared, then one a budget
    chosen = rows[[0, *(1 + trained.index(budget) for budget in kept)]]
    return PolicySnapshot(snapshot.version, {**snapshot.config, "budgets": kept}, chosen.tobytes())
