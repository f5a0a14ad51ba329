"""Schedules of the original experiments: momentum rises, the learning rate decays."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer


def paper_schedule(
    *optimisers: Optimizer,
    lr: float = 0.1,
    decay: float = 1.000004,
    floor: float = 1e-6,
    momentum: tuple[float, float] = (0.5, 0.7),
    ramp_epochs: int = 250,
    iterations_per_epoch: int = 500,
) -> Callable[[int], None]:
    """The published MNIST schedule, to pass as `ganlib.algorithm1.algorithm1`'s ``schedule``.

    lr_t = max(lr / decay^t, floor) after t updates; momentum rises linearly from the first value to the second over
    epochs 1 to ``ramp_epochs`` and stays there. An epoch is ``iterations_per_epoch`` updates (50,000 / 100 on MNIST).

    Raises
    ------
    ValueError
        If a rate is not positive and finite, decay is below 1 or infinite, momentum leaves [0, 1) or a count is below
        1.
    """
    if not (0 < lr < math.inf and 0 < floor < math.inf and 1 <= decay < math.inf):
        raise ValueError(f"lr {lr}, floor {floor}, decay {decay}: rates positive, decay at least 1, all of them finite")
    if not all(0 <= value < 1 for value in momentum):
        raise ValueError(f"momentum is {momentum}; both values must lie in [0, 1)")
    if ramp_epochs < 1 or iterations_per_epoch < 1:
        raise ValueError(f"ramp_epochs {ramp_epochs}, iterations_per_epoch {iterations_per_epoch}: at least 1 each")
    first, last = momentum

    def apply(done: int) -> None:
        epoch = done // iterations_per_epoch
        try:
            rate = max(lr / decay**done, floor)
        except OverflowError:  # Python's own way to say that decay**done is beyond every float
            rate = floor
        speed = first + (last - first) * min(epoch / max(ramp_epochs - 1, 1), 1.0)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"], group["momentum"] = rate, speed

    return apply
