"""Schedules of the original experiments: momentum rises, the learning rate decays."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer

from ganlib import limits


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
    TypeError, ValueError
        If a rate is not positive and finite, decay is below 1, momentum no pair in [0, 1) or a count is below 1.
    """
    for optimiser in optimisers:
        limits.kind("an optimiser", optimiser, Optimizer)
    lr, floor = limits.real("lr", lr, "(0, inf)"), limits.real("floor", floor, "(0, inf)")
    decay = limits.real("decay", decay, "[1, inf)")
    if not isinstance(momentum, tuple | list) or len(momentum) != 2:
        raise ValueError(f"momentum is {limits.shown(momentum)}; give its first and its last value")
    first, last = (limits.real("momentum", value, "[0, 1)") for value in momentum)
    limits.check("ramp_epochs", ramp_epochs, most=limits.STEPS)
    limits.check("iterations_per_epoch", iterations_per_epoch, most=limits.STEPS)

    def apply(done: int) -> None:
        epoch = done // iterations_per_epoch
        # The power may be no float any more; the rate is its floor long before.
        rate = max(lr / decay**done, floor) if done * math.log(decay) < 700 else floor
        speed = first + (last - first) * min(epoch / max(ramp_epochs - 1, 1), 1.0)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"], group["momentum"] = rate, speed

    return apply
