"""Birthday test: a generator whose small batches hold near-duplicates has a small support (Arora & Zhang, 2018).

Among s draws from N equally likely images two are the same with probability 1 - prod_{i<s} (1 - i / N), which is one
half at s of about 1.18 sqrt(N). So the share of batches that hold a duplicate tells N. Images of a generator are never
equal to the last bit, so "duplicate" means closer than a threshold, and the threshold decides the answer: calibrate it
on held-out real images, and look at the pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib import limits, tensors

Z95 = 1.959964  # two-sided 95 % of a normal law
TERMS = 10_000  # of a sum that are added one by one


@dataclass(frozen=True)
class Birthday:
    """What the test found.

    Parameters
    ----------
    share : of batches that hold a pair at most `threshold` apart, in [0, 1].
    low, high : its 95 % Wilson interval.
    support : N of the uniform law whose batches hold a duplicate that often, infinite where none did.
    support_low, support_high : the same for high and low. A law with unequal weights has a larger support than this.
    batch : images a batch.
    batches : how many, disjoint.
    threshold : in the units of the data.
    pairs : the closest pairs, closest first, at most one a batch: (index, index, distance), indices into the samples.
    """

    share: float
    low: float
    high: float
    support: float
    support_low: float
    support_high: float
    batch: int
    batches: int
    threshold: float
    pairs: tuple[tuple[int, int, float], ...]

    def __str__(self) -> str:
        return (
            f"{self.share:.1%} of {self.batches:,} batches of {self.batch:,} hold a pair within {self.threshold:.4g} "
            f"(95 %: {self.low:.1%} to {self.high:.1%}), as if uniform on {self.support:,.0f} images "
            f"({self.support_low:,.0f} to {self.support_high:,.0f})"
        )


def birthday_test(samples: Tensor, batch: int, threshold: float, *, pairs: int = 20, seed: int = 0) -> Birthday:
    """Share of random disjoint batches that hold a pair of near-duplicates, and the support size it implies.

    Parameters
    ----------
    samples : (n, ...), independent draws, n >= batch; n // batch batches are formed and the rest is left out.
    batch : samples a batch, >= 2.
    threshold : Euclidean distance that still counts as a duplicate, >= 0, in the units of the data; see
        `calibrate_threshold`. With 0 only exact copies count.
    pairs : how many of the closest pairs to return.
    seed : of the shuffle into batches.

    Raises
    ------
    TypeError, ValueError
        If batch is not in 2..n, the threshold or pairs is negative, or a sample is not finite.

    Notes
    -----
    The interval counts the draw of the batches, not the error of the threshold, which moves the share as much.
    A threshold in pixel space misses a shifted copy and takes two thin strokes for one image. A high share does not
    bound the support by itself: one image drawn half of the time makes duplicates whatever else there is.

    Examples
    --------
    >>> days = torch.randint(365, (2300, 1), generator=torch.Generator().manual_seed(0)).float()
    >>> birthday_test(days, 23, 0).share  # 23 people, about one half
    0.5
    """
    threshold = limits.real("threshold", threshold, "[0, inf)")
    pairs = limits.check("pairs", pairs, 0)
    index, distance = closest_pairs(samples, batch, seed=seed)
    hits, batches = int((distance <= threshold).sum()), len(distance)
    low, high = wilson_interval(hits, batches)
    order = distance.argsort(stable=True)[:pairs]
    found = zip(index[order].tolist(), distance[order].tolist(), strict=True)
    return Birthday(
        share=hits / batches,
        low=low,
        high=high,
        support=support_size(hits / batches, batch),
        support_low=support_size(high, batch),
        support_high=support_size(low, batch),
        batch=int(batch),
        batches=batches,
        threshold=threshold,
        pairs=tuple((i, j, d) for (i, j), d in found),
    )


def calibrate_threshold(real: Tensor, batch: int, share: float = 0.05, *, shuffles: int = 10, seed: int = 0) -> float:
    """The threshold at which a stated share of batches of real images hold a pair that passes for a duplicate.

    Parameters
    ----------
    real : (n, ...) real images of the law that the samples are to follow, in the same units, not used elsewhere
        in the test.
    batch : as in the test.
    share : of real batches, in (0, 1).
    shuffles : how often the images are dealt into n // batch batches anew, 1 to 10,000.
    seed : of the first shuffle.

    Returns
    -------
    float
        Distance in the units of the data: the `share` quantile of the closest distance in a batch.

    Raises
    ------
    TypeError, ValueError
        If there are too few batches for the quantile, share (n // batch) shuffles < 1, or as `birthday_test`.
    """
    share = limits.real("share", share, "(0, 1)")
    shuffles = limits.check("shuffles", shuffles, most=limits.SEEDS)
    least, most = limits.TORCH_SEEDS
    seed = limits.check("seed", seed, least, most - shuffles)
    real, batch = _check("real", real, batch)
    count = len(real) // batch * shuffles
    if share * count < 1:
        raise ValueError(f"{count} batches are too few for a share of {share}; give more images or more shuffles")
    closest = torch.cat([closest_pairs(real, batch, seed=seed + turn)[1] for turn in range(shuffles)])
    return closest.sort().values[math.floor(share * count + 1e-9) - 1].item()


def closest_pairs(samples: Tensor, batch: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The closest pair in each of the n // batch disjoint random batches.

    Returns
    -------
    index (batches, 2) int64, into the samples (n, ...), and Euclidean distance (batches,), exact; both on the CPU.

    Raises
    ------
    TypeError, ValueError
        If batch is not in 2..n, a sample is not finite, or the seed is none of torch's.
    """
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    samples, batch = _check("samples", samples, batch)
    (flat,), unit = tensors.scaled(samples.flatten(1))
    if flat.device.type == "mps":  # which has no pdist
        flat = flat.cpu()
    deal = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed))
    # pdist lists the pairs row by row: row i of the upper triangle starts at starts[i].
    row = torch.arange(batch)
    starts = row * batch - row * (row + 1) // 2
    indices, distances = [], []
    for members in deal[: len(flat) // batch * batch].split(batch):
        distance, place = torch.pdist(flat[members.to(flat.device)]).cpu().min(0)
        i = torch.searchsorted(starts[:-1], place, right=True) - 1
        j = place - starts[i] + i + 1
        indices.append(members[torch.stack([i, j])])
        distances.append(distance)
    return torch.stack(indices), torch.stack(distances) * unit


def duplicate_probability(batch: int, support: float) -> float:
    """Probability that ``batch`` uniform draws from ``support`` items hold two alike; 1 where batch > support.

    Parameters
    ----------
    batch : draws, >= 2.
    support : items, > 0; a real number, or infinity.

    Raises
    ------
    TypeError, ValueError
        If one is out of its range.

    Examples
    --------
    >>> round(duplicate_probability(23, 365), 4)
    0.5073
    """
    batch = limits.check("batch", batch, 2)
    if not (isinstance(support, float) and support == math.inf):
        support = limits.real("support", support, "(0, inf)")
    if support <= batch - 1:
        return 1.0
    if batch <= TERMS:
        return -math.expm1(sum(math.log1p(-i / support) for i in range(batch)))
    filled = batch / support
    if filled > 0.1:  # the probability of no duplicate is below exp(-TERMS / 20)
        return 1.0
    # The same sum by Euler and Maclaurin's formula: its integral as a series, and the corrections at its ends.
    integral = -batch * sum(filled ** (k - 1) / (k * (k - 1)) for k in range(2, 20))
    ends = -math.log1p(-filled) / 2 - filled / (support - batch) / 12 if filled else 0.0
    return -math.expm1(integral + ends)


def support_size(share: float, batch: int) -> float:
    """N of the uniform law with this duplicate probability, a real number; infinite for 0, batch - 1 or fewer for 1.

    Parameters
    ----------
    share : in [0, 1].
    batch : draws, >= 2.

    Raises
    ------
    TypeError, ValueError
        If one is out of its range.

    Examples
    --------
    >>> round(support_size(0.5, 1180))  # 1180 = 1.18 sqrt(1,000,000)
    1003946
    """
    share = limits.real("share", share, "[0, 1]")
    batch = limits.check("batch", batch, 2)
    if share == 0:
        return math.inf
    low = high = float(batch - 1)
    while duplicate_probability(batch, high) > share:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if duplicate_probability(batch, middle) > share else (low, middle)
    return high


def wilson_interval(hits: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval (1927) for a probability after ``hits`` in ``trials`` independent tries; 95 % by default.

    Parameters
    ----------
    hits, trials : integers, 0 <= hits <= trials, trials >= 1.
    z : quantile of the normal law, in (0, 1e6].

    Raises
    ------
    TypeError, ValueError
        If one is out of its range.

    Examples
    --------
    >>> [round(bound, 4) for bound in wilson_interval(0, 100)]
    [0.0, 0.037]
    """
    trials = limits.check("trials", trials)
    hits = limits.check("hits", hits, 0, trials)
    z = limits.real("z", z, "(0, 1e6]")
    share, spread = hits / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    # At the ends the formula gives 0 and 1 up to rounding, and rounding would make a support finite.
    return 0.0 if hits == 0 else centre - half, 1.0 if hits == trials else centre + half


def _check(name: str, samples: Tensor, batch: int) -> tuple[Tensor, int]:
    found, batch = tensors.real(name, samples, rank=2), limits.check("batch", batch, 2)
    if batch > len(found):
        raise ValueError(f"batch is {batch} and {name} {tuple(found.shape)}; need (n, ...) and 2 <= batch <= n")
    return found, batch
