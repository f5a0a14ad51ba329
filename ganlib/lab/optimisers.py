"""Optimisers of a named run, torch's fused SGD and Adam, and how their learning rate and momentum move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib import limits
from ganlib.lab.runs import Run
from ganlib.nets.paper import paper_schedule

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
        # Not one so small that `ganlib.lab.speed.graphs.Moving`, which divides by it, leaves float32's range.
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


def _has_fused(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda")
