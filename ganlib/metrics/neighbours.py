"""Nearest training examples: the paper's check that samples are not memorised (Figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlib.device import double


def nearest(samples: Tensor, training: Tensor, batch: int = 1000) -> tuple[Tensor, Tensor]:
    """Index of, and Euclidean distance to, the nearest training example of each sample, in pixel space.

    Parameters
    ----------
    samples : (n, ...) float.
    training : (t, ...) float, same trailing shape, range and device.
    batch : samples compared at once.

    Returns
    -------
    index (n,) int64 and distance (n,) float32, in the units of the data.

    Raises
    ------
    ValueError
        If a set is empty or the shapes differ.

    Notes
    -----
    A small distance shows a copy; a large one does not show the opposite, since a shifted copy is far in pixels.

    Examples
    --------
    >>> index, distance = nearest(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0]]))
    >>> index.item(), round(distance.item(), 4)
    (1, 0.1)
    """
    if not len(samples) or not len(training) or samples.shape[1:] != training.shape[1:]:
        raise ValueError(
            f"samples are {tuple(samples.shape)}, training examples {tuple(training.shape)}: give at least one "
            "of each, alike in shape"
        )
    flat = training.flatten(1)
    best = [
        # Exact differences, not the matmul shortcut: the distance of a copy must be 0.
        torch.cdist(part.flatten(1), flat, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        for part in samples.split(batch)
    ]
    return torch.cat([b.indices for b in best]), torch.cat([b.values for b in best])


def copy_threshold(distance_of_new: Tensor, share: float = 0.01) -> float:
    """Distance to the nearest training example below which only ``share`` of new images lie.

    A sample that is nearer than that is a copy, or as good as one; of samples that copy nothing about ``share`` are.

    Parameters
    ----------
    distance_of_new : (n,) float, of real images that are not among the training examples, as `nearest` gives it.
    share : in (0, 1).

    Returns
    -------
    float
        In the units of the data.

    Raises
    ------
    ValueError
        If share is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must lie in (0, 1)")
    return double(distance_of_new).quantile(share).item()
