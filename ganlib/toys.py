"""1-D and 2-D data whose density is known, so that D*, V and C(G) can be computed and not only estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganlib import limits, tensors
from ganlib.device import pick_device

MOST = 10**6  # modes


@dataclass(frozen=True, eq=False)
class Mixture:
    """Equal or weighted mixture of isotropic Gaussians of one width, in one or two dimensions.

    Parameters
    ----------
    name : what it is called in figures.
    centres : (modes, dim) tensor, kept without its graph, in float32 unless it is of float64.
    std : standard deviation of every component, in [1e-30, 1e30], in the units of the data.
    weights : (modes,) probabilities summing to one, on the centres' device; None for equal weights.

    Raises
    ------
    TypeError, ValueError
        If the centres are not (modes, dim) and finite, ``std`` is out of range, or the weights are not a distribution.
    """

    name: str
    centres: Tensor
    std: float
    weights: Tensor | None = None

    def __post_init__(self) -> None:
        centres = tensors.real("centres", self.centres, rank=2)
        centres = centres if self.centres.dtype == torch.float64 else centres.float()
        if centres.ndim != 2 or not centres.abs().max() <= 1e30:
            raise ValueError(f"centres has shape {tuple(centres.shape)}; it must be (modes, dim), and below 1e30")
        object.__setattr__(self, "centres", centres)
        object.__setattr__(self, "std", limits.real("std", self.std, limits.POSITIVE32))
        if self.weights is None:
            return
        w = tensors.real("weights", self.weights)
        if w.shape != (self.modes,) or w.device != centres.device or w.min() < 0 or abs(w.sum().item() - 1) > 1e-6:
            says = f"weights {limits.shown(w.tolist())} on {w.device} are not {self.modes} probabilities"
            raise ValueError(f"{says} that sum to 1, on the centres' {centres.device}")
        object.__setattr__(self, "weights", w)

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
        tensors.drawing(m, rng, self.centres.device)
        which = torch.multinomial(self.probabilities, m, replacement=True, generator=rng)
        noise = torch.randn(m, self.dim, generator=rng, device=rng.device)
        return (self.centres[which] + self.std * noise).float()

    def density(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Density at points x, shape (..., dim); per unit of length or area.

        For 1-D data x may have any shape: its last axis is the coordinate where it is 1 long and not the only one.
        """
        points = limits.floats("x", x)
        if self.dim == 1 and (points.ndim < 2 or points.shape[-1] != 1):
            points = points[..., None]
        if points.ndim == 0:
            raise ValueError(f"x is one number, {self.name} has {self.dim} coordinates; give (..., {self.dim})")
        if points.shape[-1] != self.dim:
            raise ValueError(f"points have {points.shape[-1]} coordinates, {self.name} has {self.dim}")
        centres = self.centres.cpu().double().numpy()
        with np.errstate(over="ignore"):  # infinitely far: density 0
            squared = ((points[..., None, :] - centres) ** 2).sum(-1)
            log_norm = self.dim / 2 * math.log(2 * math.pi * self.std**2)
            if abs(log_norm) < 700:
                kernel = np.exp(-squared / (2 * self.std**2)) / (2 * math.pi * self.std**2) ** (self.dim / 2)
            else:  # the norm of many dimensions is no float; a density may be one, else it is 0 or infinite
                kernel = np.exp(-squared / (2 * self.std**2) - log_norm)
        return np.asarray(kernel @ self.probabilities.cpu().double().numpy())

    def to(self, device: torch.device | str) -> Mixture:
        """The same mixture with its tensors on ``device``."""
        device = pick_device(device, report=False)
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
    many = isinstance(mean, tuple)
    at = [limits.real("mean", each, limits.FLOAT32) for each in (mean if isinstance(mean, tuple) else (mean,))]
    if not at:
        raise ValueError(f"mean is {mean}; give at least one coordinate")
    std = limits.real("std", std, limits.POSITIVE32)
    label = f"({', '.join(f'{c:g}' for c in at)})" if many else f"{at[0]:g}"
    return Mixture(f"N({label}, {std:g}^2)", torch.tensor([at], dtype=torch.float32), std)


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.02) -> Mixture:
    """``modes`` Gaussians evenly spaced on a circle.

    Angles are 2 pi i / modes: a linspace that includes both 0 and 2 pi would double one mode and lose another.

    Examples
    --------
    >>> len({tuple(c) for c in ring().centres.tolist()})
    8
    """
    limits.check("modes", modes, most=MOST)
    radius = limits.real("radius", radius, "(0, 1e30)")
    angle = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
    centres = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return Mixture(f"ring of {modes}", centres.float(), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """``side`` x ``side`` Gaussians on a square lattice centred at 0: 25 at {-4, -2, 0, 2, 4}^2 by default."""
    limits.check("side", side, most=math.isqrt(MOST))
    spacing = limits.real("spacing", spacing, "(0, 1e27)")
    axis = (torch.arange(side, dtype=torch.float32) - (side - 1) / 2) * spacing
    return Mixture(f"grid of {side * side}", torch.cartesian_prod(axis, axis).reshape(-1, 2), std)
