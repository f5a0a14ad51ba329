"""k-means: centres that are averages, a set of kernels that beats real images by the Parzen score."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlib.device import double
from ganlib.nets.layers import affine

# One block of the distance matrix, in bytes.
BLOCK_BYTES = 2**26


def kmeans(points: Tensor, k: int, *, rounds: int = 8, seed: int = 0) -> Tensor:
    """Centres of k clusters by Lloyd's algorithm, from k different random points.

    Parameters
    ----------
    points : (n, ...) float, n >= k.
    k : how many centres.
    rounds : of assigning every point to its nearest centre and averaging, >= 0.
    seed : of the start.

    Returns
    -------
    Tensor
        (k, ...) float32, on the points' device. A centre that no point is nearest to stays where it is.

    Raises
    ------
    ValueError
        If ``k`` is not in 1..n, ``rounds`` is negative, or a point is not finite.

    Examples
    --------
    >>> kmeans(torch.tensor([[0.0], [1.0], [10.0], [11.0]]), 2).flatten().sort().values
    tensor([ 0.5000, 10.5000])
    """
    if not 1 <= k <= len(points) or rounds < 0:
        raise ValueError(f"k is {k} and rounds {rounds}; need 1 <= k <= {len(points)}, the points, and rounds >= 0")
    rng = torch.Generator().manual_seed(seed)
    pick = torch.randperm(len(points), generator=rng)[:k].to(points.device)
    return lloyd(points, points[pick], rounds)


def lloyd(points: Tensor, centres: Tensor, rounds: int) -> Tensor:
    """``rounds`` rounds of Lloyd's algorithm from given centres (k, ...); points, result and errors as `kmeans`."""
    if not len(centres) or centres.shape[1:] != points.shape[1:] or not points.isfinite().all():
        raise ValueError(
            f"points are {tuple(points.shape)}, centres {tuple(centres.shape)}: give finite points and one or more "
            "centres of their shape"
        )
    shape, flat, found = centres.shape, points.flatten(1).float(), centres.flatten(1).float().clone()
    for _ in range(rounds):
        norms = found.square().sum(1)
        total = torch.zeros_like(double(found))
        count = total.new_zeros(len(found))
        for block in flat.split(max(1, BLOCK_BYTES // (4 * len(found)))):
            # Without |x|^2, the same for every centre.
            owner = affine(-2 * block, found, norms).argmin(1).to(total.device)
            count += torch.bincount(owner, minlength=len(found))
            total.index_add_(0, owner, double(block))
        means = (total / count.clamp(min=1)[:, None]).float().to(found.device)
        found = torch.where((count > 0).to(found.device)[:, None], means, found)
    return found.reshape(shape)
