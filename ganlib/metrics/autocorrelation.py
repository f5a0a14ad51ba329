"""Autocorrelation of a sequence of samples, and how many independent samples it is worth.

A generator's samples are independent, a Markov chain's are not: neighbours are nearly one sample. The effective sample
size is the number of independent draws whose mean would be as accurate as the mean of the sequence.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ganlib import limits, tensors

# Coordinates transformed at once, in bytes of their padded columns.
BLOCK_BYTES = 2**27


def autocorrelation(x: Tensor, lags: Iterable[int]) -> list[float]:
    """Correlation of samples that are h apart.

    ``mean_t <x_t - m, x_(t+h) - m> / mean_t |x_t - m|^2``, where m is the mean of x.

    Parameters
    ----------
    x : (n, ...), a sequence in its order, n >= 2. Coordinates are summed, not averaged after scaling: one that
        varies more weighs more.
    lags : of samples, each in 0..n - 1. The mean at lag h is over its n - h pairs.

    Returns
    -------
    list of float
        One a lag; 1 at lag 0, about 0 with standard deviation 1 / sqrt(n) or less for independent samples.

    Raises
    ------
    TypeError, ValueError
        If x is constant, not finite or shorter than two samples, or a lag is no integer or out of range.

    Examples
    --------
    >>> x = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    >>> [round(c, 6) for c in autocorrelation(x, [0, 1, 2])]
    [1.0, -1.0, 1.0]
    """
    x = _check(x, 2)
    if not isinstance(lags, Iterable) or getattr(lags, "ndim", 1) != 1:
        raise TypeError(f"lags is {limits.shown(lags)}; give a list of whole numbers")
    lags, n = list(lags), len(x)
    for h in lags:
        if limits.check("each of the lags", h, -n) not in range(n):
            raise ValueError(f"lag {h} is out of range; a sequence x of {n} samples has lags 0 to {n - 1}")
    sums = _lagged_sums(x)
    return [(sums[h] / (n - h) / (sums[0] / n)).item() for h in lags]


def effective_samples(x: Tensor) -> float:
    """Effective sample size n / (1 + 2 sum_h c(h)), the sum cut by Geyer's initial positive sequence.

    Parameters
    ----------
    x : (n, ...), a stationary sequence in its order, n >= 4.

    Returns
    -------
    float
        Independent samples whose mean has the expected squared error of this mean, all coordinates together. Above n
        where neighbours differ on purpose, or by the noise of the estimate.

    Raises
    ------
    TypeError, ValueError
        If x is constant, not finite or shorter than four samples, or alternates so strictly that its correlations sum
        to nothing.

    Notes
    -----
    In a reversible chain c(2m) + c(2m+1) is positive and falls with m; the sum ends before the first pair whose
    estimate is not positive (Geyer, 1992, section 3.3). c(h) divides by n, as there, and is that of `autocorrelation`
    otherwise: the property holds for each coordinate, hence for their sum. Chains run side by side may be flattened
    into the coordinates; the result is then that of one of them. The estimate needs a sequence of many correlation
    times, and knows nothing of places that the chain has not reached.

    Examples
    --------
    >>> x = torch.randn(1000, 50, generator=torch.Generator().manual_seed(0))
    >>> 900 < effective_samples(x) < 1100
    True
    """
    x = _check(x, 4)
    n = len(x)
    sums = _lagged_sums(x)
    pairs = (sums[0 : n - n % 2 : 2] + sums[1::2]) / sums[0]
    ended = (pairs <= 0).nonzero()
    kept = pairs[: int(ended[0])] if len(ended) else pairs
    time = (2 * kept.sum() - 1).item()
    if time * n < 1:  # more than n^2 effective samples: the difference of two roundings
        raise ValueError("x alternates: its correlations cancel, and no effective sample size can be estimated")
    return n / time


def _lagged_sums(x: Tensor) -> Tensor:
    """sum_t <x_t - m, x_(t+h) - m> for every h in 0..n-1: (n,) float64, by the fast Fourier transform."""
    n = len(x)
    size = 1 << (2 * n - 2).bit_length()  # zeros after the end, so that the ends do not meet
    power = torch.zeros(size // 2 + 1, dtype=torch.float64)
    (x,), _ = tensors.scaled(x)
    blocks = x.reshape(n, -1).split(max(1, BLOCK_BYTES // (8 * size)), dim=1)
    spread = tensors.unit(max(_centred(block).abs().max().item() for block in blocks))
    for block in blocks:
        spectrum = torch.fft.rfft(_centred(block) / spread, n=size, dim=0)
        power += spectrum.abs().square().sum(1)
    sums: Tensor = torch.fft.irfft(power, n=size)
    return sums[:n]


def _centred(block: Tensor) -> Tensor:
    columns = block.cpu().double()
    return columns - columns.mean(0)


def _check(x: Tensor, least: int) -> Tensor:
    found = tensors.real("x", x)
    if len(found) < least:
        raise ValueError(f"x is {tuple(found.shape)}; give a sequence (n >= {least}, ...)")
    if (found == found[0]).all():
        raise ValueError("x is constant: every sample is the first one, and correlation is not defined")
    return found
