"""The optimiser of the embedded model: what it computes, against torch's own in bfloat16 and against SVD."""

from __future__ import annotations

import torch

from recache_ray.diffusion.embedded_training.muon import Muon, orthogonalise


def test_singular_values_are_pulled_towards_one_and_directions_kept() -> None:
    matrices = torch.randn(3, 12, 40, generator=torch.Generator().manual_seed(0))
    for given in (matrices, matrices.mT):
        left, values, right = torch.linalg.svd(given, full_matrices=False)
        assert float(values.min()) < 0.7 * float(values.max())
        new = left.mT @ orthogonalise(given) @ right.mT
        diagonal = new.diagonal(dim1=1, dim2=2)
        assert 0.6 < float(diagonal.min()) <= float(diagonal.max()) < 1.3
        assert torch.allclose(new, torch.diag_embed(diagonal), atol=1e-4)


def test_it_steps_as_torch_does_in_bfloat16() -> None:
    generator = torch.Generator().manual_seed(1)
    start = [torch.randn(shape, generator=generator) for shape in ((8, 8), (16, 8), (8, 16), (8, 8))]
    ours = [value.clone().requires_grad_() for value in start]
    theirs = [value.clone().requires_grad_() for value in start]
    optimisers = (
        Muon(ours, lr=0.02, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(3):
        for our, their in zip(ours, theirs, strict=True):
            our.grad = torch.randn(our.shape, generator=generator)
            their.grad = our.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    moved = [float((our.detach() - value).norm()) for our, value in zip(ours, start, strict=True)]
    apart = [float((our - their).detach().norm()) for our, their in zip(ours, theirs, strict=True)]
    assert all(gap < 0.03 * distance for gap, distance in zip(apart, moved, strict=True))


def test_a_parameter_without_a_gradient_stays() -> None:
    still, moving = (torch.ones(4, 4, requires_grad=True) for _ in range(2))
    moving.grad = torch.eye(4)
    Muon([still, moving], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(still, torch.ones(4, 4))
    assert not torch.equal(moving, torch.ones(4, 4))
