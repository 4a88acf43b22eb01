"""Processes that train one model together: each has its own examples, the gradients are averaged once per step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType

import torch
import torch.distributed as dist


class Team:
    """A group of processes on one machine; rank 0 leads: its clock counts, and it writes the files."""

    def __init__(self, rank: int, size: int, store: str) -> None:
        self.rank, self.size = rank, size
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size, timeout=timedelta(hours=1))

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def average(self, parameters: Sequence[torch.Tensor], loss: float, leader_s: float) -> tuple[float, float]:
        """Averages all gradients in place; returns the mean loss and the leader's clock."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        extra = torch.tensor([loss, leader_s * self.size if self.leads else 0.0])
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), extra])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()
        return float(flat[-2]), float(flat[-1])
