"""1-D and 2-D data whose density is known, so that D*, V and C(G) can be computed and not only estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mixture:
    """Equal or weighted mixture of isotropic Gaussians of one width, in one or two dimensions.

    Parameters
    ----------
    name : what it is called in figures.
    centres : (modes, dim) float32 tensor.
    std : standard deviation of every component, > 0, in the units of the data.
    weights : (modes,) probabilities summing to one; None for equal weights.

    Raises
    ------
    ValueError
        If the centres are not (modes, dim), ``std`` is not positive, or the weights are not a distribution.
    """

    name: str
    centres: Tensor
    std: float
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        if self.centres.ndim != 2 or 0 in self.centres.shape:
            raise ValueError(f"centres has shape {tuple(self.centres.shape)}; it must be (modes, dim)")
        if not self.std > 0:
            raise ValueError(f"std is {self.std}; it must be positive")
        w = self.weights
        if w is not None and (w.shape != (self.modes,) or w.min() < 0 or abs(float(w.sum()) - 1) > 1e-6):
            raise ValueError(f"weights {w.tolist()} are not {self.modes} probabilities that sum to 1")

    @property
    def modes(self) -> int:
        """Number of components."""
        return self.centres.shape[0]

    @property
    def dim(self) -> int:
        """Dimension of the data."""
        return self.centres.shape[1]

    @property
    def probabilities(self) -> Tensor:
        """Weight of each mode, (modes,)."""
        equal = torch.full((self.modes,), 1 / self.modes, device=self.centres.device)
        return equal if self.weights is None else self.weights

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """Draw (m, dim) float32 on the generator's device: fresh samples, never a stored set."""
        which = torch.multinomial(self.probabilities, m, replacement=True, generator=rng)
        noise = torch.randn(m, self.dim, generator=rng, device=rng.device)
        return self.centres[which] + self.std * noise

    def density(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Density at points x, shape (..., dim), or any shape for 1-D data; per unit of length or area."""
        points = np.asarray(x, dtype=np.float64)
        if self.dim == 1 and (points.ndim == 0 or points.shape[-1] != 1):
            points = points[..., None]
        if points.shape[-1] != self.dim:
            raise ValueError(f"points have {points.shape[-1]} coordinates, {self.name} has {self.dim}")
        centres = self.centres.cpu().double().numpy()
        squared = ((points[..., None, :] - centres) ** 2).sum(-1)
        kernel = np.exp(-squared / (2 * self.std**2)) / (2 * math.pi * self.std**2) ** (self.dim / 2)
        return np.asarray(kernel @ self.probabilities.cpu().double().numpy())

    def to(self, device: torch.device | str) -> Mixture:
        """The same mixture with its tensors on ``device``."""
        weights = None if self.weights is None else self.weights.to(device)
        return replace(self, centres=self.centres.to(device), weights=weights)

    def __repr__(self) -> str:
        return f"{self.name}: {self.modes} Gaussian mode(s) in {self.dim}-D, std {self.std:g}, sampled afresh"


def gaussian(mean: float | tuple[float, ...] = 0.0, std: float = 1.0) -> Mixture:
    """One Gaussian; the length of ``mean`` is the dimension.

    Examples
    --------
    >>> gaussian(4, 0.5)
    N(4, 0.5^2): 1 Gaussian mode(s) in 1-D, std 0.5, sampled afresh
    """
    centre = torch.tensor([mean] if isinstance(mean, tuple) else [[mean]], dtype=torch.float32)
    label = f"({', '.join(f'{c:g}' for c in mean)})" if isinstance(mean, tuple) else f"{mean:g}"
    return Mixture(f"N({label}, {std:g}^2)", centre, std)


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.02) -> Mixture:
    """``modes`` Gaussians evenly spaced on a circle.

    Angles are 2 pi i / modes: a linspace that includes both 0 and 2 pi would double one mode and lose another.

    Examples
    --------
    >>> len({tuple(c) for c in ring().centres.tolist()})
    8
    """
    if modes < 1 or not radius > 0:
        raise ValueError(f"a ring of {modes} modes and radius {radius} does not exist; give modes >= 1, radius > 0")
    angle = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Mixture(f"ring of {modes}", centres.float(), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """``side`` x ``side`` Gaussians on a square lattice centred at 0: 25 at {-4, -2, 0, 2, 4}^2 by default."""
    if side < 1 or not spacing > 0:
        raise ValueError(f"a grid of side {side} and spacing {spacing} does not exist; give side >= 1, spacing > 0")
    axis = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * spacing
    return Mixture(f"grid of {side * side}", torch.cartesian_prod(axis, axis).reshape(-1, 2), std)
