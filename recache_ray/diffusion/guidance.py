"""How a pipeline guides, which decides how often its transformer runs."""

from __future__ import annotations

from enum import StrEnum


class GuidanceMode(StrEnum):
    """What a step does with the guidance scale.

    ``NONE`` and ``EMBEDDED`` (the scale is an input of a distilled model) evaluate the transformer once.
    Classifier-free guidance evaluates it twice, in ``TWO_CALLS`` or in one call of a ``DOUBLED_BATCH``.
    """

    NONE = "none"
    EMBEDDED = "embedded"
    TWO_CALLS = "two_calls"
    DOUBLED_BATCH = "doubled_batch"

    @property
    def calls(self) -> int:
        """Transformer calls per step."""
        return 2 if self is GuidanceMode.TWO_CALLS else 1

    @property
    def evaluations(self) -> int:
        """Batch rows that run per step and sibling, over all calls."""
        return 1 if self in (GuidanceMode.NONE, GuidanceMode.EMBEDDED) else 2
