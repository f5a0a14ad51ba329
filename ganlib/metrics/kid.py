"""Kernel distance between two sets of features: the measure behind KID, which no number of samples biases.

The squared maximum mean discrepancy of two distributions P and Q is ``E k(x, x') + E k(y, y') - 2 E k(x, y)`` for
independent x, x' from P and y, y' from Q. With the kernel ``k(x, y) = (x.y / d + 1)^3`` of d features it compares their
moments up to the third (Binkowski, Sutherland, Arbel and Gretton, 2018). Only with the features of Inception v3 may it
be called KID. Its scale is that of the features, so a value means nothing without their name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganlib import tensors
from ganlib.device import double

LEAST = 4  # samples of each set: the variance of a pair's own share takes n - 3
LARGEST = 1e20  # the kernel has their sixth power, its variance the twelfth, and sums of these must be floats
BLOCK_BYTES = 2**24  # of kernel values at a time


@dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy, estimated.

    Parameters
    ----------
    value : unbiased, so below 0 about as often as above where the distributions are equal. It has no unit, but changes
        with the scale and the origin of the features.
    standard_error : of the value over other draws of both sets; > 0 unless all features are equal.
    real, fake : features in each set.
    """

    value: float
    standard_error: float
    real: int
    fake: int


def kernel_distance(real: Tensor, fake: Tensor) -> KernelDistance:
    """Unbiased estimate of the squared maximum mean discrepancy of two sets of features, with its standard error.

    Parameters
    ----------
    real : (n, d) features, n >= 4, in [-1e20, 1e20].
    fake : (m, d), m >= 4, on the same device.

    Returns
    -------
    KernelDistance
        Computed in float64 from blocks of the kernel matrices: memory grows with n + m, time with (n + m)^2 d.

    Raises
    ------
    TypeError, ValueError
        If a set is not a matrix of four or more rows, the widths or devices differ, or a feature is not finite or
        beyond 1e20.

    Notes
    -----
    The estimate is the mean of the kernel over all pairs of different features, U-statistics within the sets. The code
    published with the paper averages it over random subsets of 1,000 instead, and gives the standard deviation of these
    averages. Subsets overlap as soon as they are more than n / 1,000, so that their spread over the root of their
    number is no standard error; and each throws most pairs away. Here every pair is used once, and the variance of the
    whole is estimated in closed form. It is the sum of the variances of the parts that Hoeffding (1948) splits a
    U-statistic into: ``4 V_f / n + 4 V_g / m``, with f = E k(x, x') - E k(x, y) as a function of x and g that of y, and
    ``2 V_xx / n(n - 1) + 2 V_yy / m(m - 1) + 4 V_xy / nm`` of the doubly centred kernels. Each V has an unbiased
    estimator here, as in Sutherland (2019, arXiv 1906.02104), which derives one from sums of the same matrices. The
    first sum is 0 where the distributions are equal, and its estimate is set to 0 where it falls below.

    The estimate is about normal where the first sum prevails, and 1.96 standard errors then hold the distance about 95
    times in 100. Where the distributions are equal it is a weighted sum of chi-squared variables, skewed to the right,
    and the standard error is on average too large.

    Like the Frechet distance it sees no more than moments, of the third order too. Unlike it, it has no floor that
    falls with n, so values of different n may be compared; but it changes when all features are shifted.

    Examples
    --------
    >>> points = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])
    >>> found = kernel_distance(points, points + 1)  # means of k: 8/3, 65/3 and, between the sets, 7
    >>> round(found.value, 6)
    10.333333
    """
    x, y = _check(real, fake)
    (n, d), m = x.shape, len(y)
    # A constant added to the kernel changes nothing; less is lost to rounding where that of the mean is taken off.
    centre = torch.cat([x, y]).mean(0)
    base = (centre @ centre / d + 1) ** 3
    xx, yy, xy = _sums(x, x, base, own=True), _sums(y, y, base, own=True), _sums(x, y, base)
    within = xx.rows.sum() / (n * (n - 1)) + yy.rows.sum() / (m * (m - 1))
    value = (within - 2 * xy.rows.sum() / (n * m)).item()

    v_xx, v_yy, v_xy = _own(xx), _own(yy), _across(xy)
    # The sample variance of f has a share of the pairs' parts: in n - 2 others of its own set, in m of the other.
    v_f = (xx.rows / (n - 2) - xy.rows / m).var() - v_xx / (n - 2) - v_xy / m
    v_g = (yy.rows / (m - 2) - xy.columns / n).var() - v_yy / (m - 2) - v_xy / n
    pairs = 2 * v_xx / (n * (n - 1)) + 2 * v_yy / (m * (m - 1)) + 4 * v_xy / (n * m)
    variance = (4 * v_f / n + 4 * v_g / m).clamp(min=0) + pairs
    return KernelDistance(value, math.sqrt(variance.item()), n, m)


class _Sums(NamedTuple):
    """Of a kernel matrix: its rows' sums, its columns' sums, and the sum of its squares."""

    rows: Tensor
    columns: Tensor
    squares: Tensor


def _sums(x: Tensor, y: Tensor, base: Tensor, *, own: bool = False) -> _Sums:
    """Of the kernel less ``base``; of a set with its ``own``, without the pairs of a point and itself."""
    step = max(1, BLOCK_BYTES // (8 * len(y)))
    rows, columns, squares = [], y.new_zeros(len(y)), y.new_zeros(())
    for start in range(0, len(x), step):
        block = (x[start : start + step] @ y.T).div_(x.shape[1]).add_(1).pow_(3).sub_(base)
        if own:
            block.diagonal(start).zero_()
        rows.append(block.sum(1))
        columns += block.sum(0)
        squares += block.square().sum()
    return _Sums(torch.cat(rows), columns, squares)


def _own(sums: _Sums) -> Tensor:
    """Unbiased estimate of the mean square of the doubly centred kernel within a set."""
    n, total = len(sums.rows), sums.rows.sum()
    centred = sums.squares - 2 * sums.rows.square().sum() / (n - 2) + total.square() / ((n - 1) * (n - 2))
    return (centred / (n * (n - 3))).clamp(min=0)


def _across(sums: _Sums) -> Tensor:
    """The same between two sets."""
    n, m, total = len(sums.rows), len(sums.columns), sums.rows.sum()
    centred = sums.squares - sums.rows.square().sum() / m - sums.columns.square().sum() / n + total.square() / (n * m)
    return (centred / ((n - 1) * (m - 1))).clamp(min=0)


def _check(real: Tensor, fake: Tensor) -> list[Tensor]:
    """Both sets in float64."""
    found = {name: tensors.real(name, x, rank=2) for name, x in (("real", real), ("fake", fake))}
    for name, features in found.items():
        if features.ndim != 2 or len(features) < LEAST:
            raise ValueError(f"{name} is {tuple(features.shape)}; give features (n >= {LEAST}, d >= 1)")
        if features.abs().max() > LARGEST:
            largest = features.abs().max().item()
            raise ValueError(f"{name} has features as large as {largest:g}; give them within {LARGEST:g}: scale both")
    return [double(features) for features in tensors.points(**found)]
