"""k-means: centres that are averages, a set of kernels that beats real images by the Parzen score."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ganlib import limits, tensors
from ganlib.device import double

# One block of the distance matrix, in bytes.
BLOCK_BYTES = 2**26
# So many times their extent from the origin points are moved.
FAR = 16
# Squared distances below this share of the squared lengths have lost too many of their digits, with a margin.
DOUBT = {torch.float32: 2**-12, torch.float64: 2**-40}


def kmeans(points: Tensor, k: int, *, rounds: int = 8, seed: int = 0) -> Tensor:
    """Centres of k clusters by Lloyd's algorithm, from k different random points.

    Parameters
    ----------
    points : (n, ...), n >= k.
    k : how many centres.
    rounds : of assigning every point to its nearest centre and averaging, >= 0.
    seed : of the start.

    Returns
    -------
    Tensor
        (k, ...) on the points' device, float64 for points in float64 or integers, float32 for others. A centre that no
        point is nearest to stays where it is.

    Raises
    ------
    TypeError, ValueError
        If ``k`` is not in 1..n, ``rounds`` is negative, or a point is not finite.

    Examples
    --------
    >>> kmeans(torch.tensor([[0.0], [1.0], [10.0], [11.0]]), 2).flatten().sort().values
    tensor([ 0.5000, 10.5000])
    """
    points = tensors.real("points", points, rank=2)
    if limits.check("k", k) > len(points):
        raise ValueError(f"k is {k}; points has {len(points)}, and centres start at different ones: give at most that")
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    rng = torch.Generator().manual_seed(seed)
    pick = torch.randperm(len(points), generator=rng)[:k].to(points.device)
    return lloyd(points, points[pick], rounds)


def lloyd(points: Tensor, centres: Tensor, rounds: int) -> Tensor:
    """``rounds`` rounds of Lloyd's algorithm from given centres (k, ...); points, result and errors as `kmeans`."""
    rounds = limits.check("rounds", rounds, 0, limits.STEPS)
    (flat, found), unit = tensors.scaled(*tensors.points(points=points, centres=centres))
    low, high = flat.amin(0), flat.amax(0)
    # Far from the origin centres would lose their digits: there the origin comes to the points.
    far = bool(torch.maximum(-low, high).max() > FAR * (high - low).max())
    if far:
        flat, found = flat - low, found - low
    for _ in range(rounds):
        norms = found.square().sum(1)
        total = torch.zeros_like(double(found))
        count = total.new_zeros(len(found))
        for block in flat.split(max(1, BLOCK_BYTES // (4 * len(found)))):
            owner = _nearest(block, found, norms).to(total.device)
            count += torch.bincount(owner, minlength=len(found))
            total.index_add_(0, owner, double(block))
        means = (total / count.clamp(min=1)[:, None]).to(found)
        found = torch.where((count > 0).to(found.device)[:, None], means, found)
    return ((found + low if far else found) * unit).reshape(centres.shape)


def _nearest(block: Tensor, centres: Tensor, norms: Tensor) -> Tensor:
    """Index of each point's nearest centre, whose squared lengths are the norms."""
    # Without |x|^2, the same for every centre.
    partial = functional.linear(-2 * block, centres, norms)
    owner = partial.argmin(1)
    # Where points lie closer to their centre than to the origin, by far, the products' rounding could decide.
    lengths = block.square().sum(1)
    doubtful = partial.gather(1, owner[:, None])[:, 0] + lengths < DOUBT[block.dtype] * (lengths + norms.max())
    if doubtful.any():
        owner[doubtful] = torch.cdist(block[doubtful], centres, compute_mode=tensors.EXACT).argmin(1)
    return owner
