"""How weights move: Muon for the matrices inside the layers, Adam for the embedding and the norms. It must never know
what the weights compute."""

from collections.abc import Iterable
from itertools import groupby

import torch
from torch import Tensor

_MOMENTUM = 0.95
_ROUNDS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)  # Newton and Schulz's iteration as Keller Jordan tuned it


class Descent:
    """Takes steps along the gradients of `matrices` and `others`, and clears them. Muon (Jordan et al. 2024) makes
    every direction of a matrix move equally far; heads that look things up form in a fraction of Adam's steps."""

    def __init__(self, matrices: Iterable[Tensor], others: Iterable[Tensor], turn: float, rate: float) -> None:
        ordered = sorted(matrices, key=_shape)
        self._alike = [list(group) for _, group in groupby(ordered, key=_shape)]
        self._moving = [torch.zeros_like(torch.stack(group)) for group in self._alike]
        self._adam = torch.optim.AdamW(list(others), betas=(0.9, 0.95), weight_decay=0.0, fused=True)
        self._turn, self._rate = turn, rate

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One step at a share of the full rates."""
        for group in self._adam.param_groups:
            group["lr"] = self._rate * share
        self._adam.step()
        self._adam.zero_grad()
        for group, moving in zip(self._alike, self._moving, strict=True):
            gradient = torch.stack([matrix.grad for matrix in group])
            moving.lerp_(gradient, 1 - _MOMENTUM)
            update = orthogonal(gradient.lerp(moving, _MOMENTUM))
            rows, columns = update.shape[-2:]
            for matrix, change in zip(group, update.unbind(), strict=True):
                matrix.sub_(change, alpha=self._turn * share * max(1.0, rows / columns) ** 0.5)
                matrix.grad = None


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices [n, rows, columns] with the same singular vectors and all singular values near 1."""
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ROUNDS):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if matrices.shape[-2] <= matrices.shape[-1] else wide.mT


def _shape(matrix: Tensor) -> tuple[int, ...]:
    return tuple(matrix.shape)
