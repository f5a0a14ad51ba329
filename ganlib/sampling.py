"""Draw from a trained generator: samples, and straight lines through the latent space."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlib import limits
from ganlib.device import memory
from ganlib.latent import Latent


def sample(generator: nn.Module, latent: Latent, n: int, *, seed: int = 0, batch: int = 1000) -> Tensor:
    """Draw n samples G(z), z ~ p_z, without gradients.

    Parameters
    ----------
    generator : maps (m, latent.dim) to data. It is put in evaluation mode while sampling (batch normalisation uses
        its running statistics, so a sample does not depend on its neighbours) and left as it was found.
    n : how many, >= 1.
    seed : of z. ``batch`` changes memory, not the samples.

    Returns
    -------
    Tensor
        (n, ...) on the generator's device, in the generator's range.

    Raises
    ------
    ValueError
        If ``n`` or ``batch`` is not positive, or ``n`` or ``seed`` beyond what torch counts.
    MemoryError
        If noise and samples need more than the device's whole memory; after one batch at the latest.
    """
    limits.check("n", n)
    limits.check("batch", batch)
    limits.check("seed", seed, *limits.TORCH_SEEDS)
    device = next(generator.parameters()).device
    _check_memory(n, 4 * latent.dim, device)
    z = latent.minibatch(n, torch.Generator(device).manual_seed(seed))
    first = push(generator, z[:batch], batch=batch)
    if n <= batch:
        return first
    each = first.nbytes // len(first)
    _check_memory(n, 4 * latent.dim + 2 * each, device)  # the batches, and then all of them in one
    return torch.cat([first, *(push(generator, part, batch=batch) for part in z[batch:].split(batch))])


def push(generator: nn.Module, z: Tensor, *, batch: int = 1000) -> Tensor:
    """G(z) for given z (n, dim), in evaluation mode and without gradients, ``batch`` rows at a time."""
    with evaluating(generator):
        return torch.cat([generator(part) for part in z.split(batch)])


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Evenly spaced points on the straight lines from ``start`` to ``end``, both ends included (Figure 3).

    Parameters
    ----------
    start, end : (lines, dim) latents.
    steps : points on each line, >= 2.

    Returns
    -------
    Tensor
        (lines, steps, dim).

    Raises
    ------
    ValueError
        If the shapes differ or there are fewer than two steps.
    """
    if start.shape != end.shape or start.ndim != 2:
        raise ValueError(f"start is {tuple(start.shape)}, end {tuple(end.shape)}; both must be (lines, dim)")
    if steps < 2:
        raise ValueError(f"steps is {steps}; a line needs both its ends, so at least 2")
    t = torch.linspace(0, 1, steps, device=start.device)[None, :, None]
    return start[:, None] * (1 - t) + end[:, None] * t


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """The net in evaluation mode (no dropout, running batchnorm statistics), no gradients; its mode is restored."""
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(was_training)


def _check_memory(n: int, bytes_each: int, device: torch.device) -> None:
    """Refuse what cannot fit: a system that lends more memory than it has ends the process without a word."""
    there = memory(device)
    if there is not None and n * bytes_each > there:
        needed = f"{n * bytes_each / 2**30:,.0f} GiB, {there / 2**30:,.0f} GiB are there"
        raise MemoryError(f"n is {n}: that many samples take {needed}; draw at most {there // bytes_each} at once")
