"""Algorithm 1 of the paper: minibatch stochastic gradient training of generative adversarial nets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from ganlib.losses import discriminator_loss, generator_loss


class Source(Protocol):
    """Something to sample minibatches from: `ganlib.data.Images`, `ganlib.toys.Mixture`, `ganlib.latent.Latent`."""

    def minibatch(self, m: int, rng: torch.Generator, /) -> Tensor: ...


@dataclass(frozen=True)
class Report:
    """Where training stands. The four figures are means over the iterations since the last report.

    iteration : iterations done, from 1. An iteration is k minibatches for D and one for G, not an epoch.
    d_loss, g_loss : nats, as minimised. With the reduction "sum", -d_loss estimates V(D, G).
    d_real, d_fake : mean D(x) and mean D(G(z)) in [0, 1], in the last of D's k steps, before its update.
    """

    iteration: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float


def algorithm1(
    generator: nn.Module,
    discriminator: nn.Module,
    data: Source,
    latent: Source,
    *,
    d_optimiser: Optimizer,
    g_optimiser: Optimizer,
    iterations: int,
    k: int = 1,
    m: int = 100,
    loss: str = "non-saturating",
    reduction: Literal["sum", "mean"] = "sum",
    schedule: Callable[[int], None] | None = None,
    every: int = 100,
    seed: int = 0,
    progress: bool = False,
) -> Iterator[Report]:
    """Train G and D by Algorithm 1; an iterator, so stop when you like: training goes on only when you ask for more.

    Parameters
    ----------
    generator, discriminator : G maps latents (m, dim) to data; D maps data to logits (m,). On one device.
    data, latent : where minibatches of x ~ p_data and z ~ p_z come from, on the networks' device.
    d_optimiser, g_optimiser : torch optimisers over the two networks' parameters.
    iterations : generator steps to make; each follows ``k`` discriminator steps.
    k, m : discriminator steps per iteration, minibatch size.
    loss : the generator's, "non-saturating" (as in the paper's experiments) or "minimax" (as Algorithm 1 prints it).
    reduction : factor 1/2 in D's loss or not, see `ganlib.losses.discriminator_loss`.
    schedule : called with the number of iterations done before each one, e.g. to set learning rates.
    every : iterations between reports; the last iteration always reports.
    seed : of minibatches, noise and dropout. Randomness used by the caller between two reports changes nothing here.
    progress : show a progress bar on stderr.

    Yields
    ------
    Report
        Every ``every`` iterations, with both networks still in training mode.

    Raises
    ------
    ValueError
        If a count is not positive, the loss is unknown or the networks are on different devices.
    FloatingPointError
        At the report after D's or G's loss stopped being finite; the message names the iterations it lies between.
    """
    for name, count in {"iterations": iterations, "k": k, "m": m, "every": every}.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; it must be at least 1")
    g_loss_of = generator_loss(loss)
    device = next(discriminator.parameters()).device
    if next(generator.parameters()).device != device:
        raise ValueError(f"the generator is on {next(generator.parameters()).device}, the discriminator on {device}")

    def run() -> Iterator[Report]:
        rng = torch.Generator(device).manual_seed(seed)
        dropout = _PrivateRandomness(seed, device)
        with tqdm(total=iterations, disable=not progress, desc="Algorithm 1") as bar:
            for start in range(0, iterations, every):
                stop = min(start + every, iterations)
                statistics = torch.zeros(4, device=device)  # on the device until the report: no host sync in the loop
                with dropout:
                    for done in range(start, stop):
                        if schedule is not None:
                            schedule(done)

                        for _ in range(k):  # k steps for D, each on fresh minibatches of noise and of data
                            z = latent.minibatch(m, rng)
                            x = data.minibatch(m, rng)
                            with torch.no_grad():
                                fake = generator(z)
                            real_logits, fake_logits = discriminator(x), discriminator(fake)
                            d_loss = discriminator_loss(real_logits, fake_logits, reduction)
                            _descend(d_optimiser, d_loss)  # D's loss is -V, so this ascends V

                        z = latent.minibatch(m, rng)  # one step for G, on a fresh minibatch of noise
                        with _frozen(discriminator):
                            g_loss = g_loss_of(discriminator(generator(z)))
                            _descend(g_optimiser, g_loss)

                        d_real, d_fake = real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()
                        statistics += torch.stack([d_loss, g_loss, d_real, d_fake]).detach()
                        bar.update()
                means = (statistics / (stop - start)).tolist()
                if not all(map(math.isfinite, means)):
                    raise FloatingPointError(
                        f"a loss stopped being finite between iterations {start + 1} and {stop} "
                        f"(D's {means[0]}, G's {means[1]}): lower the learning rate"
                    )
                yield Report(stop, *means)

    return run()


def _descend(optimiser: Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


@contextmanager
def _frozen(net: nn.Module) -> Iterator[None]:
    """Gradients flow through the net but not into its weights: G's step needs no gradient of D's."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


class _PrivateRandomness:
    """Dropout draws from torch's global generator; inside this context that generator is the run's own."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(self._devices):
            torch.manual_seed(seed)
            self._mine = self._state()

    def __enter__(self) -> None:
        self._callers = self._state()
        self._restore(self._mine)

    def __exit__(self, *_: object) -> None:
        self._mine = self._state()
        self._restore(self._callers)

    def _state(self) -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(d) for d in self._devices)]

    def _restore(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self._devices, states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)
