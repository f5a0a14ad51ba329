"""Noise priors p_z: what the generator is fed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib import limits, tensors


@dataclass(frozen=True)
class Latent:
    """A prior p_z with independent coordinates of one law.

    Parameters
    ----------
    dim : length of z, >= 1.
    law : "uniform" on (low, high), or "normal" (mean 0, variance 1).
    low, high : bounds of the uniform law. The default (-sqrt 3, sqrt 3), the paper's for MNIST, has variance 1 like
        the normal; DCGAN uses (-1, 1).

    Raises
    ------
    TypeError, ValueError
        If ``dim`` is no integer from 1 to what no memory holds, ``law`` is unknown, or ``low`` and ``high`` are not
        numbers in [-1e30, 1e30] with ``low`` below ``high``.

    Examples
    --------
    >>> Latent(100).minibatch(2, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 100])
    """

    dim: int
    law: str = "uniform"
    low: float = -math.sqrt(3)
    high: float = math.sqrt(3)

    def __post_init__(self) -> None:
        limits.check("latent dim", self.dim)
        limits.one_of("latent law", self.law, ("uniform", "normal"))
        for name in ("low", "high"):
            limits.real(name, getattr(self, name), limits.FLOAT32)
        if not self.low < self.high:
            raise ValueError(f"latent bounds ({self.low}, {self.high}) are empty; low must be below high")

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """Draw (m, dim) float32 on the generator's device."""
        tensors.drawing(m, rng)
        if self.law == "normal":
            return torch.randn(m, self.dim, generator=rng, device=rng.device)
        return torch.rand(m, self.dim, generator=rng, device=rng.device) * (self.high - self.low) + self.low

    def __str__(self) -> str:
        law = "N(0, 1)" if self.law == "normal" else f"U({self.low:.4g}, {self.high:.4g})"
        return f"z in R^{self.dim}, each coordinate {law}"
