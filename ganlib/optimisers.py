"""Optimisers of a named run: torch's fused SGD and Adam; their learning rate and momentum may move inside a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib import limits
from ganlib.runs import Run
from ganlib.schedules import paper_schedule

LEAST_MOMENTUM = 1e-30


def build(run: Run, net: nn.Module, lr: float, *, captured: bool = False) -> Optimizer:
    """The run's optimiser over a net's parameters; ``captured`` prepares it for a CUDA graph.

    Torch's momentum keeps a running sum of gradients and multiplies it by today's learning rate; the original's keeps a
    running sum of steps. They differ by the learning rate's change over the few steps that momentum remembers.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type, ``lr`` is negative, or the net has no parameter that learns.
    """
    limits.kind("run", run, Run)
    limits.kind("net", net, nn.Module)
    limits.flag("captured", captured)
    lr = limits.real("lr", lr, "[0, 1e30]")
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    weights = [parameter for name, parameter in net.named_parameters() if name.endswith("weight")]
    if not parameters:
        raise ValueError("net has no parameter with requires_grad=True; it cannot learn: unfreeze a layer")
    settings: dict[str, Any] = {"lr": lr, "fused": _has_fused(parameters[0].device)}
    if run.optimiser == "adam":
        settings |= {"betas": (run.beta1, run.beta2), "capturable": captured}
        optimiser: Optimizer = torch.optim.Adam(parameters, **settings)
    else:
        # Not one so small that `Moving`, which divides by it, leaves float32's range.
        momentum = run.momentum if run.momentum >= LEAST_MOMENTUM else run.momentum_final or run.momentum
        optimiser = torch.optim.SGD(parameters, momentum=momentum, **settings)
    if run.max_norm:
        optimiser.register_step_post_hook(lambda *_: limit_norms(weights, run.max_norm))
    return optimiser


def schedule(run: Run, *optimisers: Optimizer) -> Callable[[int], None] | None:
    """The run's learning rate and momentum over time, None where they are constant; of D's and G's optimiser."""
    limits.kind("run", run, Run)
    if len(optimisers) != 2:
        raise ValueError(f"there are {len(optimisers)} optimisers; give D's and G's")
    for optimiser in optimisers:
        limits.kind("each of the optimisers", optimiser, Optimizer)
    if run.optimiser == "adam" or (run.lr_decay == 1 and run.momentum == run.momentum_final):
        return None
    apply = [
        paper_schedule(
            optimiser,
            lr=lr,
            decay=run.lr_decay,
            floor=run.lr_floor,
            # At exactly 0 torch keeps no momentum, and would start it a step late.
            momentum=(run.momentum or (LEAST_MOMENTUM if run.momentum_final else 0.0), run.momentum_final),
            ramp_epochs=run.momentum_epochs,
            iterations_per_epoch=run.epoch_length,
        )
        for optimiser, lr in zip(optimisers, (run.d_lr, run.g_lr), strict=True)
    ]

    def both(done: int) -> None:
        for one in apply:
            one(done)

    return both


@torch.no_grad()
def limit_norms(weights: Iterable[Tensor], limit: float) -> None:
    """Scale every unit's incoming weights (a row of a matrix) down to Euclidean norm ``limit`` where it is larger.

    The original's ``max_col_norm``; its matrices are the transposes of torch's.

    Raises
    ------
    TypeError, ValueError
        If a weight is no float tensor of two axes or more, or the limit not positive.
    """
    limit = limits.real("limit", limit, limits.POSITIVE32)
    if isinstance(weights, Tensor) or not isinstance(weights, Iterable):
        raise TypeError(f"weights is {limits.shown(weights)}; give a list of tensors")
    for weight in weights:
        limits.kind("each of the weights", weight, Tensor)
        if weight.ndim < 2 or not weight.is_floating_point():
            raise ValueError(f"weights has {limits.shown(weight)}; give floats (..., units, inputs)")
        weight.flatten(0, -2).renorm_(2, 0, limit)  # a view: rows of many seeds are rows as well


def restored(saved: dict[str, Tensor], parameter: Tensor) -> dict[str, Tensor]:
    """An optimiser's saved state of a parameter as training has it: laid out in memory like the parameter itself.

    Only unfused Adam counts its steps on the host.
    """
    host = {"step"} if not _has_fused(parameter.device) else set()
    return {
        key: torch.empty_like(parameter).copy_(tensor)
        if tensor.shape == parameter.shape
        else tensor.to("cpu" if key in host else parameter.device, copy=True)
        for key, tensor in saved.items()
    }


class Moving:
    """Learning rates and momenta as device tensors that a table moves, one row an iteration, without the host.

    A captured graph replays its kernels with the numbers it was captured with. So the numbers live in a tensor: `plan`
    uploads their values for the coming iterations, and `advance`, captured with the iteration, takes the next row.
    SGD's momentum is a plain number in torch's fused kernel. There the kernel keeps the momentum it was built with, and
    the momentum buffers are scaled by the ratio of the wanted one to it before each step, which is the same update.

    Parameters
    ----------
    optimisers : those of the game, with at most one parameter group each.
    schedule : sets them as plain numbers, as `schedule` gives it.
    rows : the most iterations planned at once.
    device : the networks' device.
    """

    def __init__(
        self, optimisers: tuple[Optimizer, ...], schedule: Callable[[int], None], rows: int, device: torch.device
    ) -> None:
        self.optimisers, self.schedule = optimisers, schedule
        self.fixed = [group.get("momentum", 0.0) for group in self._groups()]
        self.now = torch.zeros(2 * len(self.fixed), device=device)
        self.table = torch.zeros(rows, 2 * len(self.fixed), device=device)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)
        for i, optimiser in enumerate(optimisers):
            if self.fixed[i]:
                optimiser.register_step_pre_hook(lambda one, *_, i=i: self._scale_momentum(one, self.now[2 * i + 1]))

    def plan(self, start: int, rows: int) -> None:
        """Upload the values of iterations start, start + 1, ..., as many as ``rows``."""
        values: list[list[float]] = []
        for done in range(start, start + rows):
            self.schedule(done)
            values.append(
                [
                    number
                    for group, fixed in zip(self._groups(), self.fixed, strict=True)
                    for number in (group["lr"], group["momentum"] / fixed if fixed else 1.0)
                ]
            )
        self.table[:rows] = torch.tensor(values, dtype=torch.float32).view(rows, -1) if rows else 0.0
        self.row.zero_()
        for i, (group, fixed) in enumerate(zip(self._groups(), self.fixed, strict=True)):
            group["lr"] = self.now[2 * i]
            if fixed:
                group["momentum"] = fixed

    def advance(self) -> None:
        """Take the next row. Device work only, to be captured with the iteration it precedes."""
        self.now.copy_(self.table.index_select(0, self.row)[0])
        self.row += 1

    def _groups(self) -> list[dict[str, Any]]:
        return [optimiser.param_groups[0] for optimiser in self.optimisers]

    @staticmethod
    def _scale_momentum(optimiser: Optimizer, ratio: Tensor) -> None:
        buffers = [state["momentum_buffer"] for state in optimiser.state.values() if "momentum_buffer" in state]
        if buffers:
            torch._foreach_mul_(buffers, ratio)


def _has_fused(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda")
