"""Nearest training examples: the paper's check that samples are not memorised (Figure 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ganlib import limits, tensors
from ganlib.device import double


def nearest(samples: Tensor, training: Tensor, batch: int = 1000) -> tuple[Tensor, Tensor]:
    """Index of, and Euclidean distance to, the nearest training example of each sample, in pixel space.

    Parameters
    ----------
    samples : (n, ...).
    training : (t, ...), same trailing shape, range and device.
    batch : samples compared at once, >= 1.

    Returns
    -------
    index (n,) int64 and distance (n,) float32, in the units of the data.

    Raises
    ------
    TypeError, ValueError
        If a set is empty or not finite, or the shapes differ.

    Notes
    -----
    Of sets in float64 or integers the distance is float64. Beyond its format it is infinite.

    A small distance shows a copy; a large one does not show the opposite, since a shifted copy is far in pixels.

    Examples
    --------
    >>> index, distance = nearest(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0]]))
    >>> index.item(), round(distance.item(), 4)
    (1, 0.1)
    """
    (samples, training), unit = tensors.scaled(*tensors.points(samples=samples, training=training))
    batch = limits.check("batch", batch)
    # Exact differences, not the matmul shortcut: the distance of a copy must be 0.
    best = [torch.cdist(part, training, compute_mode=tensors.EXACT).min(1) for part in samples.split(batch)]
    return torch.cat([b.indices for b in best]), torch.cat([b.values for b in best]) * unit


def copy_threshold(distance_of_new: Tensor, share: float = 0.01) -> float:
    """Distance to the nearest training example below which only ``share`` of new images lie.

    A sample that is nearer than that is a copy, or as good as one; of samples that copy nothing about ``share`` are.

    Parameters
    ----------
    distance_of_new : (n,), of real images that are not among the training examples, as `nearest` gives it.
    share : in (0, 1).

    Returns
    -------
    float
        In the units of the data.

    Raises
    ------
    TypeError, ValueError
        If share is not in (0, 1), or a distance is negative or not finite.
    """
    share, found = limits.real("share", share, "(0, 1)"), double(tensors.real("distance_of_new", distance_of_new))
    if found.ndim != 1 or found.min() < 0:
        raise ValueError(f"distance_of_new is {tuple(found.shape)}, from {found.min():g}; give distances (n,), >= 0")
    place, values = share * (len(found) - 1), found.sort().values  # torch's own quantile takes 2^24 values at most
    return values[math.floor(place)].lerp(values[math.ceil(place)], place - math.floor(place)).item()
