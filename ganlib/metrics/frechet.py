"""Frechet distance between two sets of features: the measure behind FID, published three years after the paper.

Each set is replaced by the Gaussian with its mean and covariance, and the squared 2-Wasserstein distance of the two
Gaussians is reported, ``|mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2))`` (Heusel et al., 2017). Only with the features
of Inception v3 may it be called FID. Its scale is that of the features, so a value means nothing without their name,
the number of samples and the floor that real data reach at that number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib import limits, tensors


@dataclass(frozen=True)
class Floor:
    """The Frechet distance of real data to themselves.

    Parameters
    ----------
    mean, std : of the distance between two disjoint random sets of real features, over the splits, in squared units of
        the features. The splits share their features, so std / sqrt(splits) is no standard error of the mean.
    n : features in each of the two sets.
    splits : how many there were.
    """

    mean: float
    std: float
    n: int
    splits: int


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Frechet distance between the Gaussians fitted to two sets of features.

    Parameters
    ----------
    real : (n, d) features, n >= 2.
    fake : (m, d), m >= 2; any device.

    Returns
    -------
    float
        In squared units of the features, >= 0 up to rounding. Computed in float64 on the CPU by torchmetrics, with the
        covariances over n - 1 and m - 1.

    Raises
    ------
    TypeError, ValueError
        If a set is not a matrix of two or more rows, the widths differ, or a feature is not finite.
    ModuleNotFoundError
        If torchmetrics is not installed.

    Notes
    -----
    Biased upwards: two sets from one law are at a distance that falls about as 1/n and differs from law to law, so
    compare values of the same n only and give `real_floor`. It sees means and covariances alone: points on a circle of
    eight modes and on every other one of them are at distance 0.

    Examples
    --------
    >>> points = torch.tensor([[-1.0], [1.0]])  # mean 0, variance 2
    >>> round(frechet_distance(points, 3 * points + 4), 6)  # 4^2 + (sqrt(2) - 3 sqrt(2))^2
    24.0
    """
    (real, fake), unit = tensors.scaled(*_check(real, fake))
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "torchmetrics":  # one that it needs itself
            raise
        raise ModuleNotFoundError(
            "the Frechet distance is computed by the package torchmetrics, which is not installed: pip install "
            "torchmetrics (it is part of ganlib[notebook])"
        ) from None
    # torchmetrics subtracts n mean mean^T from a sum of products; a shift of both sets, which changes nothing else,
    # keeps features far from the origin from losing their digits there.
    centre = real.mean(0)
    metric = FrechetInceptionDistance(feature=_Identity(real.shape[1]))
    metric.update(real - centre, real=True)
    metric.update(fake - centre, real=False)
    return float(metric.compute()) * unit * unit


def real_floor(real: Tensor, n: int, *, splits: int = 10, seed: int = 0) -> Floor:
    """Frechet distance between disjoint random sets of n real features: what a perfect generator would score at n.

    Parameters
    ----------
    real : (>= 2 n, d) features of real data.
    n : features in each set, >= 2.
    splits : random pairs of sets, 2 to 10,000.
    seed : of the draws.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than 2 n features, n or splits is below 2, or as `frechet_distance`.
    """
    _check(real, real)
    n = limits.check("n", n, 2)
    splits = limits.check("splits", splits, 2, limits.SEEDS)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    if len(real) < 2 * n:
        raise ValueError(f"n is {n} and real has {len(real)} features; two sets need 2 n: give more, or a smaller n")
    rng = torch.Generator().manual_seed(seed)
    distances = []
    for _ in range(splits):
        pick = torch.randperm(len(real), generator=rng)[: 2 * n].to(real.device)
        distances.append(frechet_distance(real[pick[:n]], real[pick[n:]]))
    mean = sum(distances) / splits
    std = math.sqrt(sum((d - mean) ** 2 for d in distances) / (splits - 1))
    return Floor(mean, std, n, splits)


class _Identity(nn.Module):
    """Hands features through; torchmetrics asks a feature network for its width."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def _check(real: Tensor, fake: Tensor) -> list[Tensor]:
    """Both sets in float64, on the CPU."""
    found = {name: tensors.real(name, x, rank=2).cpu().double() for name, x in (("real", real), ("fake", fake))}
    for name, features in found.items():
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"{name} is {tuple(features.shape)}; give features (n >= 2, d >= 1)")
    return tensors.points(**found)
