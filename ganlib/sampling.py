"""Draw from a trained generator: samples, and straight lines through the latent space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlib import limits, tensors
from ganlib.device import memory
from ganlib.latent import Latent


def sample(generator: nn.Module, latent: Latent, n: int, *, seed: int = 0, batch: int = 1000) -> Tensor:
    """Draw n samples G(z), z ~ p_z, without gradients.

    Parameters
    ----------
    generator : maps (m, latent.dim) to data. It is put in evaluation mode while sampling (batch normalisation uses
        its running statistics, so a sample does not depend on its neighbours) and left as it was found.
    latent : p_z, with a ``dim`` and a ``minibatch``, such as `ganlib.latent.Latent`.
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
        raise TypeError(f"latent is {limits.shown(latent)}; give a prior, such as ganlib.latent.Latent(100)")
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
    modes = [(layer, layer.training) for net in nets for layer in _layers(net)]
    try:
        for net in nets:
            net.eval()
        with torch.no_grad():
            yield
    finally:
        for layer, mode in modes:
            layer.training = mode


def _layers(net: nn.Module) -> Iterator[nn.Module]:
    """All layers of a net, with those that an `ganlib.ensemble.Ensemble` computes with."""
    for layer in net.modules():
        yield layer
        for skeleton in getattr(layer, "_skeleton", ()):
            yield from skeleton.modules()


def _check_memory(n: int, bytes_each: int, device: torch.device) -> None:
    """Refuse what cannot fit: a system that lends more memory than it has ends the process without a word."""
    there = memory(device)
    if there is not None and n * bytes_each > there:
        needed = f"{n * bytes_each / 2**30:,.0f} GiB, {there / 2**30:,.0f} GiB are there"
        raise MemoryError(f"n is {n}: that many samples take {needed}; draw at most {there // bytes_each} at once")
