"""Precision and recall of a generator by nearest-neighbour balls (Kynkaanniemi et al., 2019).

A set of points stands for the region that the balls around its points cover, each ball as wide as the distance to its
centre's k-th nearest neighbour. Precision is the share of fakes inside the reals' region, recall the share of reals
inside the fakes'. Good samples of few kinds have high precision and low recall, scattered ones the reverse. Averages
lie amid the reals, so they are precise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib import limits, tensors
from ganlib.device import double

# One block of a distance matrix, in bytes.
BLOCK_BYTES = 2**26


@dataclass(frozen=True)
class Coverage:
    """Precision and recall of fakes.

    Parameters
    ----------
    precision : share of fakes in a ball of the reals, in [0, 1].
    recall : share of reals in a ball of the fakes, in [0, 1].
    k : the neighbour that sets a ball's radius.
    real, fake : how many points of each.

    Notes
    -----
    No standard error is given: the points of a set share their balls, so the shares are not means over independent
    points. Repeat with fresh samples.
    """

    precision: float
    recall: float
    k: int
    real: int
    fake: int

    def __str__(self) -> str:
        return (
            f"precision {self.precision:.3f}, recall {self.recall:.3f} "
            f"(k = {self.k}; {self.real:,} real, {self.fake:,} fake)"
        )


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> Coverage:
    """Improved precision and recall of fakes against reals.

    Parameters
    ----------
    real : (n, ...), in pixel or feature space.
    fake : (m, ...), same trailing shape and device.
    k : neighbours, the point itself not counted; 1 <= k < n, m.

    Returns
    -------
    Coverage
        From exact distances, in the inputs' precision: a copy is at distance 0 and inside its original's ball.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, k is not in 1..min(n, m) - 1, or a value is not finite.

    Notes
    -----
    Both depend on n, m and k, so compare at equal ones, and with a held-out real set in the place of the fakes. One
    outlier has a wide ball: a few stray fakes can raise recall, a few odd reals precision (Naeem et al., 2020, whose
    "coverage" is another measure). Memory stays bounded; the work is (n + m)^2 distances.

    Examples
    --------
    >>> real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> precision_recall(real, real[:3] + 0.5, k=1)  # the fakes keep to one of two clusters
    Coverage(precision=1.0, recall=0.5, k=1, real=6, fake=3)
    """
    (real, fake), _ = tensors.scaled(*tensors.points(real=real, fake=fake))
    limits.check("k", k)
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(
            f"k is {k}; with {len(real)} real and {len(fake)} fake points it must be at least 1 and below both"
        )
    real_radius, fake_radius = _radii(real, k), _radii(fake, k)
    fake_inside = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    real_inside = []
    for block, radius in zip(_blocks(real, fake), _blocks(real_radius, fake), strict=True):
        distance = _distances(block, fake)
        fake_inside |= (distance <= radius[:, None]).any(0)
        real_inside.append((distance <= fake_radius).any(1))
    recall = double(torch.cat(real_inside)).mean().item()
    return Coverage(double(fake_inside).mean().item(), recall, k, len(real), len(fake))


def _radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point to its k-th nearest other point: the (k + 1)-th smallest, its own 0 being the first."""
    found = [_distances(b, points).topk(k + 1, largest=False).values[:, k] for b in _blocks(points, points)]
    return torch.cat(found)


def _blocks(points: Tensor, others: Tensor) -> tuple[Tensor, ...]:
    """Rows of points, so many that their distances to the others fill one block."""
    blocks: tuple[Tensor, ...] = points.split(max(1, BLOCK_BYTES // (others.element_size() * len(others))))
    return blocks


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # Exact differences, not the matmul shortcut: its rounding would decide who is inside a ball of copies.
    return torch.cdist(a, b, compute_mode=tensors.EXACT)
