"""Layers of the paper's networks that torch has in another form or not at all: dropout by what is kept, maxout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ganlib import limits, tensors


class Dropout(nn.Module):
    """Dropout that keeps each input with probability ``keep`` and rescales it by 1/keep; none in evaluation mode.

    Raises
    ------
    ValueError
        If ``keep`` is not in (0, 1].
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = limits.real("keep", keep, "(0, 1]")  # the probability to keep an input

    def forward(self, x: Tensor) -> Tensor:
        limits.kind("x", x, Tensor)
        return x * self.mask(x) if self.training and self.keep < 1 else x

    def mask(self, x: Tensor) -> Tensor:
        """1/keep with probability ``keep``, else 0, for each input; from torch's global random numbers."""
        return torch.rand(x.shape, device=x.device).lt_(self.keep).mul_(1 / self.keep).to(x.dtype)

    def extra_repr(self) -> str:
        return f"keep={self.keep}"


class Maxout(nn.Module):
    """Maxout layer: the largest of ``pieces`` affine maps, for each unit (Goodfellow et al., 2013).

    Maps (m, inputs) to (m, units). The first ``units`` outputs of ``affine`` are every unit's first piece, and so on:
    the maximum then runs over whole rows of units and not over neighbours, which suits vector instructions.

    Raises
    ------
    ValueError
        If a size is not positive.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        for name, size in {"inputs": inputs, "units": units, "pieces": pieces}.items():
            limits.check(name, size)
        self.pieces = pieces
        self.affine = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        tensors.fits("x", x, self.affine.weight, ..., self.affine.in_features)
        pieces: Tensor = self.affine(x).unflatten(-1, (self.pieces, -1))
        return pieces.amax(-2)
