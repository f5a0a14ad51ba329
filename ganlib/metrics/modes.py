"""Mode counting on toy mixtures, with a minimum share so that one broad blob is not mistaken for all modes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlib import limits, tensors
from ganlib.device import double
from ganlib.toys import Mixture


@dataclass(frozen=True)
class ModeCount:
    """Which modes samples reached.

    Parameters
    ----------
    covered : modes that hold at least the minimum share.
    shares : (modes,) share of all samples that is within 3 std of each mode.
    high_quality : share of samples within 3 std of some mode, in [0, 1].
    """

    covered: int
    shares: tuple[float, ...]
    high_quality: float


def count_modes(samples: Tensor, mixture: Mixture, minimum_share: float | None = None) -> ModeCount:
    """Count the modes of a mixture that samples cover.

    Parameters
    ----------
    samples : (n, dim), on any device.
    mixture : whose modes to look for.
    minimum_share : of all samples, within 3 std of a mode, for it to count; default a quarter of a fair share,
        1 / (4 modes). With no minimum, one broad Gaussian "covers" all 8 modes of the ring.

    Raises
    ------
    TypeError, ValueError
        If the dimensions differ, there are no samples, or the share is not in (0, 1].
    """
    limits.kind("mixture", mixture, Mixture)
    found = double(tensors.real("samples", samples, rank=2))
    if samples.ndim != 2 or samples.shape[1] != mixture.dim:
        raise ValueError(f"samples are {tuple(samples.shape)}; {mixture.name} needs (n >= 1, {mixture.dim})")
    share = 1 / (4 * mixture.modes) if minimum_share is None else limits.real("minimum_share", minimum_share, "(0, 1]")
    # By exact differences: far from the origin the products that torch takes otherwise leave no digit of them.
    distance, mode = torch.cdist(found, double(mixture.centres).to(found.device), compute_mode=tensors.EXACT).min(1)
    good = distance <= 3 * mixture.std
    counts = torch.bincount(mode[good], minlength=mixture.modes)
    shares = (counts / len(samples)).tolist()
    return ModeCount(sum(s >= share for s in shares), tuple(shares), good.float().mean().item())
