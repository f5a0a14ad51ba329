"""The noise priors p_z that generators are fed, samples G(z), and straight lines through the latent space."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib import limits, tensors
from ganlib.device import memory


@dataclass(frozen=True)
class Latent:
    """A prior p_z with independent coordinates of one law.

    Parameters
    ----------
    dim : length of z, >= 1.
    law : "uniform" on (low, high), or "normal" (mean 0, variance 1).
    low, high : bounds of the uniform law. The default (-sqrt 3, sqrt 3), the paper's for MNIST, has variance 1 like
        the normal; DCGAN uses (-1, 1).

    Raises
    ------
    TypeError, ValueError
        If ``dim`` is no integer from 1 to what no memory holds, ``law`` is unknown, or ``low`` and ``high`` are not
        numbers in [-1e30, 1e30] with ``low`` below ``high``.

    Examples
    --------
    >>> Latent(100).minibatch(2, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 100])
    """

    dim: int
    law: str = "uniform"
    low: float = -math.sqrt(3)
    high: float = math.sqrt(3)

    def __post_init__(self) -> None:
        limits.check("latent dim", self.dim)
        limits.one_of("latent law", self.law, ("uniform", "normal"))
        for name in ("low", "high"):
            limits.real(name, getattr(self, name), limits.FLOAT32)
        if not self.low < self.high:
            raise ValueError(f"latent bounds ({self.low}, {self.high}) are empty; low must be below high")

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """Draw (m, dim) float32 on the generator's device."""
        tensors.drawing(m, rng)
        if self.law == "normal":
            return torch.randn(m, self.dim, generator=rng, device=rng.device)
        return torch.rand(m, self.dim, generator=rng, device=rng.device) * (self.high - self.low) + self.low

    def __str__(self) -> str:
        law = "N(0, 1)" if self.law == "normal" else f"U({self.low:.4g}, {self.high:.4g})"
        return f"z in R^{self.dim}, each coordinate {law}"


def sample(generator: nn.Module, latent: Latent, n: int, *, seed: int = 0, batch: int = 1000) -> Tensor:
    """Draw n samples G(z), z ~ p_z, without gradients.

    Parameters
    ----------
    generator : maps (m, latent.dim) to data. It is put in evaluation mode while sampling (batch normalisation uses
        its running statistics, so a sample does not depend on its neighbours) and left as it was found.
    latent : p_z, with a ``dim`` and a ``minibatch``, such as `ganlib.sampling.Latent`.
    n : how many, >= 1.
    seed : of z.
    batch : samples at once, >= 1. It changes memory, and the samples by rounding: a product of another size may be
        summed in another order. The same n, seed and batch give the same bits.

    Returns
    -------
    Tensor
        (n, ...) on the generator's device, in the generator's range.

    Raises
    ------
    TypeError, ValueError
        If ``n`` or ``batch`` is not positive, ``n`` or ``seed`` beyond what torch counts, ``generator`` no module,
        ``latent`` no prior, or one does not fit the other.
    MemoryError
        If noise and samples need more than the device's whole memory; after one batch at the latest.
    """
    n = limits.check("n", n)
    batch = limits.check("batch", batch)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    device = tensors.device_of(generator)
    if not hasattr(latent, "dim") or not hasattr(latent, "minibatch"):
        raise TypeError(f"latent is {limits.shown(latent)}; give a prior, such as ganlib.sampling.Latent(100)")
    _check_memory(n, 4 * latent.dim, device)
    z = latent.minibatch(n, torch.Generator(device).manual_seed(seed))
    first = push(generator, z[:batch], batch=batch)
    if n <= batch:
        return first
    each = first.nbytes // len(first)
    _check_memory(n, 4 * latent.dim + 2 * each, device)  # the batches, and then all of them in one
    return torch.cat([first, *(push(generator, part, batch=batch) for part in z[batch:].split(batch))])


def push(generator: nn.Module, z: Tensor, *, batch: int = 1000) -> Tensor:
    """G(z) for given finite z (n, dim), in evaluation mode and without gradients, ``batch`` rows at a time.

    Raises
    ------
    TypeError, ValueError
        If z is no such tensor, ``generator`` no module on z's device, z is none of its inputs, or ``batch`` is not
        positive.
    """
    batch = limits.check("batch", batch)
    device = tensors.device_of(generator)
    tensors.real("z", z, rank=2)
    if z.device != device:
        raise ValueError(f"z is on {z.device}, the generator on {device}; move one of them with .to(device)")
    with evaluating(generator):
        return torch.cat([generator(part) for part in z.split(batch)])


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Evenly spaced points on the straight lines from ``start`` to ``end``, both ends included (Figure 3).

    Parameters
    ----------
    start, end : (lines, dim) latents.
    steps : points on each line, 2 to 10^9.

    Returns
    -------
    Tensor
        (lines, steps, dim).

    Raises
    ------
    TypeError, ValueError
        If the ends are no finite tensors of one shape and device, or there are fewer than two steps.
    """
    shapes = [tuple(getattr(x, "shape", ())) for x in (start, end)]
    start, end = tensors.points(start=start, end=end)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2:
        raise ValueError(f"start is {shapes[0]}, end {shapes[1]}; both must be (lines, dim)")
    steps = limits.check("steps", steps, 2, 10**9)  # a line needs both its ends
    t = torch.linspace(0, 1, steps, device=start.device)[None, :, None]
    return start[:, None] * (1 - t) + end[:, None] * t


@contextmanager
def evaluating(*nets: nn.Module) -> Iterator[None]:
    """The nets in evaluation mode (no dropout, running batchnorm statistics), no gradients.

    Every layer's own mode comes back: one that was frozen in a net that trains stays frozen.
    """
    for net in nets:
        limits.kind("net", net, nn.Module)
    modes = [(layer, layer.training) for net in nets for layer in net.modules()]
    try:
        for net in nets:
            net.eval()
        with torch.no_grad():
            yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _check_memory(n: int, bytes_each: int, device: torch.device) -> None:
    """Refuse what cannot fit: a system that lends more memory than it has ends the process without a word."""
    there = memory(device)
    if there is not None and n * bytes_each > there:
        needed = f"{n * bytes_each / 2**30:,.0f} GiB, {there / 2**30:,.0f} GiB are there"
        raise MemoryError(f"n is {n}: that many samples take {needed}; draw at most {there // bytes_each} at once")
