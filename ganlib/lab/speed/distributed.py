"""Several processes train one pair: the minibatch is split between them, and they stay one run.

Start them with torchrun; `start` joins the processes it made. Every process draws the random numbers of the whole
minibatch and keeps its rows (`Rows`, `ganlib.lab.randomness`), gradients are averaged before each step
(`average_gradients`), and batch normalisation takes its statistics over all rows (`synchronised`). So N processes
compute what one computes on the same minibatch, up to the order of sums.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from ganlib.algorithm1 import Source


@dataclass(frozen=True)
class Processes:
    """This process among those of a run. rank : 0 is the one that writes. world : how many there are."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0


def start(device: torch.device) -> Processes:
    """Join the processes torchrun started, over NCCL on CUDA and gloo elsewhere; alone outside torchrun."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return Processes()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(dist.get_rank(), dist.get_world_size())


def stop() -> None:
    """Leave the group, if any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def local_device(device: torch.device) -> torch.device:
    """The device of this process where torchrun started several on one machine: GPU number LOCAL_RANK."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return device


class Rows:
    """A source of which every process gets its own rows of the same minibatch."""

    def __init__(self, source: Source, processes: Processes) -> None:
        self.source, self.processes = source, processes

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """Draw m x world rows as one process would, keep m."""
        first = self.processes.rank * m
        return self.source.minibatch(m * self.processes.world, rng)[first : first + m]


def average_gradients(optimiser: Optimizer) -> None:
    """Before each of the optimiser's steps, replace gradients by their mean over the processes."""

    def average(one: Optimizer, args: Any, kwargs: Any) -> None:
        gradients = [p.grad for group in one.param_groups for p in group["params"] if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])  # one message, not one a tensor
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    optimiser.register_step_pre_hook(average)


def same_weights(*nets: nn.Module) -> None:
    """Give every process rank 0's weights and buffers."""
    for net in nets:
        for tensor in (*net.parameters(), *net.buffers()):
            dist.broadcast(tensor.data, 0)


def mean(statistics: Tensor) -> Tensor:
    """The mean of a tensor over the processes, on each of them."""
    if dist.is_initialized():
        dist.all_reduce(statistics)
        statistics /= dist.get_world_size()
    return statistics


def synchronised(net: nn.Module) -> nn.Module:
    """The net with batch normalisation over all processes' rows: torch's own on GPUs, `SyncBatchNorm` elsewhere."""
    if next(net.parameters()).device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        return converted
    for name, old in list(net.named_modules()):
        if isinstance(old, nn.BatchNorm1d | nn.BatchNorm2d):
            new = SyncBatchNorm(old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats)
            new.load_state_dict(old.state_dict())
            owner, _, leaf = name.rpartition(".")
            setattr(net.get_submodule(owner), leaf, new.to(next(net.parameters()).device))
    return net


class _Sum(torch.autograd.Function):
    """The sum of a tensor over the processes, and of its gradient: torch's own is being replaced by a private one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _sum(gradients[0].contiguous())


def _sum(x: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(x)
    return total


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over all processes' rows on the CPU, where torch has none. Made by `synchronised`."""

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise ValueError(f"batch normalisation needs (m, channels, ...), got {tuple(x.shape)}")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        dtype, x = x.dtype, x.float()  # averages in float32, as torch's own
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        average = _sum(x.sum(axes)) / count
        centred = x - average.view(shape)
        # E x^2 - (E x)^2 would be one message less, and negative for a mean far larger than the spread.
        variance = _sum(centred.square().sum(axes)) / count
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                rate = self.momentum if self.momentum is not None else 0.1
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(average, rate)
                self.running_var.lerp_(variance * (count / (count - 1)), rate)
        y = centred * torch.rsqrt(variance + self.eps).view(shape)
        z: Tensor = y * self.weight.view(shape) + self.bias.view(shape) if self.affine else y
        return z.to(dtype)


def agreed(value: Hashable) -> bool:
    """Whether a value is the same in every process."""
    if not dist.is_initialized():
        return True
    values: list[Hashable] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return len(set(values)) == 1


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether any process's flag is set; the same answer on each of them."""
    if not dist.is_initialized():
        return flag
    raised = torch.tensor([float(flag)], device=device)
    dist.all_reduce(raised)
    return bool(raised.item() > 0)
