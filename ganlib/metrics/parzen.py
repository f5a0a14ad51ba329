"""Parzen-window log-likelihood: the paper's own measure (section 5, Table 1), and why to be careful with it.

A Gaussian of width sigma is put on each of n samples; the estimate of log p(x) is the log of their mean density. The
paper's protocol picks sigma on validation images and reports the mean over test images +- its standard error. That
+- leaves out the training seed, the draw of the samples and the choice of sigma. The estimate is no likelihood of the
model: memorised training images beat every model in Table 1 (Theis, van den Oord & Bethge, 2016).

All log densities are in nats, with respect to the units of the data (pixels in [0, 1] in the paper).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ganlib import limits, tensors
from ganlib.device import double

# The original's ten widths.
PAPER_SIGMAS = tuple(torch.logspace(-1, 0, 10, dtype=torch.float64).tolist())
# One block of the distance matrix, in bytes: small enough to stay near the processor while every sigma visits it.
BLOCK_BYTES = 2**24
LOG2_E = math.log2(math.e)
# Squared distances from float32 products are wrong by up to about this share of the squared lengths; half of that over
# sigma^2 is the error in nats, mostly a small part of it. Images in [0, 1] stay below the tolerance at sigma .02.
CANCELLED, TOLERANCE = 2**-23, 0.05
# Distance in widths whose square is still a float by far.
FARTHEST = 1e70


@dataclass(frozen=True)
class ParzenResult:
    """What the protocol found.

    Parameters
    ----------
    sigma : the chosen width.
    sigmas, sweep : every width tried and its mean log-likelihood on the validation images.
    mean, standard_error : over the test images, nats; the second is std / sqrt(number of test images).
    samples, valid, test : how many images of each kind.
    samples_range, images_range : smallest and largest value of the samples, and of the images of both kinds.
    """

    sigma: float
    mean: float
    standard_error: float
    sigmas: tuple[float, ...]
    sweep: tuple[float, ...]
    samples: int
    valid: int
    test: int
    samples_range: tuple[float, float] = (0.0, 1.0)
    images_range: tuple[float, float] = (0.0, 1.0)

    @property
    def remark(self) -> str:
        """What is to be said of a width at an end of those tried, with the ranges of the data; "" of one between."""
        found = end_of_grid(self.sigma, self.sigmas)
        samples, images = (f"[{low:.4g}, {high:.4g}]" for low, high in (self.samples_range, self.images_range))
        return f"{found} Here samples lie in {samples}, images in {images}." if found else ""

    def __str__(self) -> str:
        return (
            f"{self.mean:.1f} +- {self.standard_error:.1f} nats (sigma {self.sigma:.3f}; {self.samples:,} samples, "
            f"{self.test:,} test images; +- is the standard error over test images)"
            f"{self.remark and f'. {self.remark}'}"
        )


def end_of_grid(sigma: float, sigmas: Sequence[float]) -> str:
    """What is to be said of a chosen width that is the smallest or the largest of those tried; "" where neither.

    Of a single width nothing is said: nothing was chosen.

    Examples
    --------
    >>> end_of_grid(1.0, (0.1, 1.0)).partition(":")[0]
    'sigma 1 is the largest of the 2 widths tried, and a larger one may score higher'
    >>> end_of_grid(0.3, (0.1, 0.3, 1.0))
    ''
    """
    if len(sigmas) < 2 or min(sigmas) < sigma < max(sigmas):
        return ""
    tried = f"of the {len(sigmas)} widths tried"
    if sigma == max(sigmas):
        return (
            f"sigma {sigma:.4g} is the largest {tried}, and a larger one may score higher: mostly samples and images "
            "have two ranges, such as [-1, 1] and [0, 1], or both 0 to 255. Scale them to [0, 1], or try larger widths."
        )
    return (
        f"sigma {sigma:.4g} is the smallest {tried}, and a smaller one may score higher: the samples are as near to "
        "the images as copies of them, or both have a range far below [0, 1]. Look at both, or try smaller widths."
    )


def log_likelihoods(samples: Tensor, points: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Parzen log density of every point under every sigma, from one matrix of squared distances.

    Parameters
    ----------
    samples : (n, ...), the kernels' centres.
    points : (t, ...), same trailing shape and device.
    sigmas : widths in (0, 1e300], in the units of the data.

    Returns
    -------
    Tensor
        (len(sigmas), t) float64, nats; on the CPU where the device has no float64 (see `ganlib.device.double`).

    Raises
    ------
    TypeError, ValueError
        If shapes differ, a set is empty or not finite, a sigma is not positive, or one is so small beside the data that
        the densities' logarithms are no floats.

    Notes
    -----
    Work and the distance matrix are in float32, a block of points at a time, so memory stays bounded; data are centred
    first, which keeps the cancellation in ``x.x - 2 x.y + y.y`` small. Agrees with float64 to .01 nats on images for
    sigma >= .1. Where sigma is so small beside the data that the cancellation could show, distances are computed from
    differences in float64, which takes longer.

    Examples
    --------
    >>> round(log_likelihoods(torch.zeros(5, 1), torch.zeros(1, 1), [1.0]).item(), 6)  # log N(0; 0, 1)
    -0.918939
    """
    samples, points, sigmas = checked("points", samples, points, sigmas)
    n, dim = samples.shape
    centre = samples.mean(0)
    near, at = (samples - centre).float(), (points - centre).float()
    lengths = max(x.square().sum(1).max().item() for x in (near, at))
    # Squares of float32's range; lengths that are infinite, or not a number, go the longer way too.
    if 1e-15 < min(sigmas) <= max(sigmas) < 1e15 and CANCELLED * lengths < TOLERANCE * 2 * min(sigmas) ** 2:
        found = _by_products(near, at, sigmas)
    else:
        found = _by_differences(samples, points, sigmas)
    log_norm = [math.log(n) + dim * math.log(s * math.sqrt(2 * math.pi)) for s in sigmas]
    return found - torch.tensor(log_norm, dtype=torch.float64, device=found.device)[:, None]


def _by_products(samples: Tensor, points: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Logarithms of the sums of kernels without their norm, (len(sigmas), t), for centred float32 data."""
    norms = samples.square().sum(1)
    precision = torch.tensor([0.5 / s**2 for s in sigmas], dtype=torch.float64)
    rows = max(1, BLOCK_BYTES // (4 * len(samples)))
    blocks = []
    for block in points.split(rows):
        # |x - y|^2 without its |x|^2, which is the same for every kernel y and joins the nearest one's below.
        squared = functional.linear(-2 * block, samples, norms)
        # Shift by the nearest kernel: one pass finds it for every sigma, and no sum can underflow to log 0.
        nearest = squared.amin(1, keepdim=True)
        squared -= nearest
        # Powers of 2: on processors torch's exp2 costs a fraction of its exp, most of all where the result underflows.
        sums = double(torch.stack([(squared * (-0.5 / s**2 * LOG2_E)).exp2_().sum(1) for s in sigmas]))
        distance = (double(nearest[:, 0]) + double(block).square().sum(1)).clamp(min=0)
        blocks.append(sums.log() - precision.to(distance.device)[:, None] * distance)
    return torch.cat(blocks, dim=1)


def _by_differences(samples: Tensor, points: Tensor, sigmas: Sequence[float]) -> Tensor:
    """The same from explicit differences in float64, of data as they are."""
    (samples, points), unit = tensors.scaled(double(samples), double(points))
    rows = max(1, BLOCK_BYTES // (8 * len(samples)))
    blocks = []
    for block in points.split(rows):
        distance = torch.cdist(block, samples, compute_mode=tensors.EXACT)
        blocks.append(torch.stack([torch.logsumexp(-0.5 * (distance / s * unit).square(), dim=1) for s in sigmas]))
    return torch.cat(blocks, dim=1)


def evaluate(samples: Tensor, valid: Tensor, test: Tensor, sigmas: Sequence[float] = PAPER_SIGMAS) -> ParzenResult:
    """The paper's protocol: choose sigma on validation images, report the mean over test images.

    The paper uses 10,000 samples, the ten ``PAPER_SIGMAS``, the first 1,000 validation images and 10,000 test images.
    Arguments, errors: as `log_likelihoods`.
    """
    for name, images in (("valid", valid), ("test", test)):  # before the sweep, which is most of the work
        *_, widths = checked(name, samples, images, sigmas)
    sweep = log_likelihoods(samples, valid, widths).mean(1).tolist()
    sigma = widths[sweep.index(max(sweep))]
    scores = log_likelihoods(samples, test, [sigma])[0]
    return _result(sigma, scores, widths, sweep, samples, valid, test)


def evaluate_original(
    samples: Tensor,
    valid: Tensor,
    test: Tensor,
    sigmas: Sequence[float] = PAPER_SIGMAS,
    batch: int = 100,
) -> ParzenResult:
    """The same protocol computed as the original computes it: every sigma from scratch, by explicit differences.

    Slow and plain, in float64, ``batch`` points at a time: the reference `evaluate` is tested against.
    """
    batch = limits.check("batch", batch)
    for name, images in (("valid", valid), ("test", test)):
        *_, widths = checked(name, samples, images, sigmas)

    def scores(points: Tensor, sigma: float) -> Tensor:
        out = []
        kernels = double(samples.detach().flatten(1))
        for part in double(points.detach().flatten(1)).split(batch):
            scaled = torch.stack([(x - kernels) / sigma for x in part])
            out.append(torch.logsumexp(-0.5 * scaled.square().sum(-1), dim=1))
        n, dim = samples.flatten(1).shape
        return torch.cat(out) - math.log(n) - dim * math.log(sigma * math.sqrt(2 * math.pi))

    sweep = [scores(valid, sigma).mean().item() for sigma in widths]
    sigma = widths[sweep.index(max(sweep))]
    return _result(sigma, scores(test, sigma), widths, sweep, samples, valid, test)


def _result(
    sigma: float,
    scores: Tensor,
    sigmas: tuple[float, ...],
    sweep: list[float],
    samples: Tensor,
    valid: Tensor,
    test: Tensor,
) -> ParzenResult:
    """The protocol's figures from the test images' log densities at the chosen width."""
    standard_error = (scores.std(correction=0) / math.sqrt(len(scores))).item()
    counts = len(samples), len(valid), len(test)
    ranges = _range(samples), _range(valid, test)
    return ParzenResult(sigma, scores.mean().item(), standard_error, sigmas, tuple(sweep), *counts, *ranges)


def _range(*sets: Tensor) -> tuple[float, float]:
    """The smallest and the largest value of all sets."""
    return min(each.min().item() for each in sets), max(each.max().item() for each in sets)


def checked(
    name: str, samples: Tensor, points: Tensor, sigmas: Sequence[float]
) -> tuple[Tensor, Tensor, tuple[float, ...]]:
    """Samples and points, which are called ``name``, as matrices, and the widths; errors as `log_likelihoods`."""
    samples, points = tensors.points(**{"samples": samples, name: points})
    sigmas = sigmas.tolist() if hasattr(sigmas, "tolist") else sigmas  # an array's or a tensor's
    limits.kind("sigmas", sigmas, (tuple, list))
    if not sigmas:
        raise ValueError(f"sigmas is {sigmas}; give at least one positive width")
    sigmas = tuple(limits.real("sigmas' width", s, "(0, 1e300]") for s in sigmas)
    low, high = _range(samples, points)
    apart = 2 * (high / 2 - low / 2) * math.sqrt(samples.shape[1])  # at most
    if apart / min(sigmas) > FARTHEST:
        raise ValueError(
            f"sigmas holds {min(sigmas):g}, and values of samples and {name} lie in [{low:g}, {high:g}]: so far away "
            "densities have logarithms that are no floats; give larger widths, or scale both"
        )
    return samples, points, sigmas
