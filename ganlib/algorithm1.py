"""Algorithm 1 of the paper: minibatch stochastic gradient training of generative adversarial nets.

`iteration` is the algorithm. `algorithm1` repeats it and reports. Full-length runs repeat the same `iteration`:
`ganlib.lab.training`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from ganlib import limits
from ganlib.device import GlobalNumbers
from ganlib.losses import REDUCTIONS, discriminator_loss, generator_loss
from ganlib.metrics.watch import Watch
from ganlib.nets import players


class Source(Protocol):
    """Something to sample minibatches from: `ganlib.data.Images`, `ganlib.toys.Mixture`, `ganlib.sampling.Latent`."""

    def minibatch(self, m: int, rng: torch.Generator, /) -> Tensor: ...


@dataclass(frozen=True)
class Report:
    """Where training stands. The four figures are means over the iterations since the last report.

    Parameters
    ----------
    iteration : iterations done, from 1. An iteration is k minibatches for D and one for G, not an epoch.
    d_loss, g_loss : nats, as minimised. With the reduction "sum", -d_loss estimates V(D, G).
    d_real, d_fake : mean D(x) and mean D(G(z)) in [0, 1], in the last of D's k steps, before its update.
    remark : mostly empty; once, in words, that D has won, or that G or both stopped learning (`ganlib.metrics.watch`).
    """

    iteration: int
    d_loss: float
    g_loss: float
    d_real: float
    d_fake: float
    remark: str = field(default="", compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        return f"{self!r}\n{self.remark}" if self.remark else repr(self)


@dataclass
class Game:
    """The two players, what they are shown and how they learn.

    Parameters
    ----------
    generator, discriminator : G maps latents (m, dim) to data; D maps data to logits (m,).
    data, latent : where minibatches of x ~ p_data and z ~ p_z come from, on the networks' device.
    d_optimiser, g_optimiser : torch optimisers over the two networks' parameters, each over exactly its own net's.
    k, m : discriminator steps per iteration, minibatch size.
    loss : the generator's, "non-saturating" (as in the paper's experiments) or "minimax" (as Algorithm 1 prints it).
    reduction : factor 1/2 in D's loss or not, see `ganlib.losses.discriminator_loss`.

    Raises
    ------
    TypeError, ValueError
        If a player is no module, a source has no ``minibatch``, an optimiser is none of torch's or does not hold
        exactly its own net's parameters (`ganlib.nets.players.check_optimiser`), k or m is out of range, or the loss or
        the reduction is unknown.
    """

    generator: nn.Module
    discriminator: nn.Module
    data: Any
    latent: Any
    d_optimiser: Optimizer
    g_optimiser: Optimizer
    k: int = 1
    m: int = 100
    loss: str = "non-saturating"
    reduction: str = "sum"

    def __post_init__(self) -> None:
        limits.check("k", self.k, most=limits.STEPS)
        limits.check("m", self.m)
        limits.one_of("reduction", self.reduction, REDUCTIONS)
        for name in ("generator", "discriminator"):
            limits.kind(name, getattr(self, name), nn.Module)
        for name in ("data", "latent"):
            if not callable(getattr(getattr(self, name), "minibatch", None)):
                says = f"{name} is {limits.shown(getattr(self, name))}"
                raise TypeError(f"{says}; give a source of minibatches, such as ganlib.data.load() or Latent(100)")
        self.d_loss: Callable[[Tensor, Tensor], Tensor] = partial(discriminator_loss, reduction=self.reduction)
        self.g_loss = generator_loss(self.loss)
        players.check_optimiser("d_optimiser", self.d_optimiser, self.discriminator, self.generator)
        players.check_optimiser("g_optimiser", self.g_optimiser, self.generator, self.discriminator)

    def logits(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits on data and on samples, (m,) each.

        Raises
        ------
        ValueError
            If they are not one a sample, or samples have another shape than the data.
        """
        players.check_samples(x, fake)
        return players.one_a_sample(self.discriminator(x), x), players.one_a_sample(self.discriminator(fake), fake)

    def figures(self, d_loss: Tensor, g_loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """D's loss, G's loss, mean D(x) and mean D(G(z)), shape (4,), without waiting for the device."""
        return torch.stack([d_loss, g_loss, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()]).detach()


def iteration(game: Game, rng: Any) -> Tensor:
    """One iteration of Algorithm 1: k steps for the discriminator, then one for the generator.

    ``rng`` goes to the sources. Returns the game's figures: D's loss, G's loss, mean D(x) and mean D(G(z)), shape (4,).

    Raises
    ------
    ValueError
        Before the first step, if D's logits are not one a sample or G's output has another shape than the data.
    """
    G, D, m = game.generator, game.discriminator, game.m

    for _ in range(game.k):  # k steps for D, each on fresh minibatches of noise and of data
        z = game.latent.minibatch(m, rng)
        x = game.data.minibatch(m, rng)
        with torch.no_grad():
            fake = G(z)
        real_logits, fake_logits = game.logits(x, fake)
        d_loss = game.d_loss(real_logits, fake_logits)
        _descend(game.d_optimiser, d_loss)  # D's loss is -V, so this ascends V

    z = game.latent.minibatch(m, rng)  # one step for G, on a fresh minibatch of noise
    with _frozen(D):
        g_loss = game.g_loss(D(G(z)))
        _descend(game.g_optimiser, g_loss)

    return game.figures(d_loss, g_loss, real_logits, fake_logits)


def simultaneous_iteration(game: Game, rng: Any) -> Tensor:
    """The original code's iteration: both networks step from the same parameters (k is 1).

    G is trained on the minibatch D is trained on, against D as it was before its step. Arguments, result and errors are
    those of `iteration`.
    """
    z = game.latent.minibatch(game.m, rng)
    x = game.data.minibatch(game.m, rng)
    real_logits, fake_logits = game.logits(x, game.generator(z))
    d_loss = game.d_loss(real_logits, fake_logits)
    g_loss = game.g_loss(fake_logits)
    for optimiser, loss in ((game.d_optimiser, d_loss), (game.g_optimiser, g_loss)):
        loss.backward(inputs=_without_gradients(optimiser), retain_graph=loss is d_loss)
    game.d_optimiser.step()
    game.g_optimiser.step()
    return game.figures(d_loss, g_loss, real_logits, fake_logits)


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
    reduction: str = "sum",
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
    d_optimiser, g_optimiser : torch optimisers over the two networks' parameters, each over exactly its own net's.
    iterations : generator steps to make, 1 to 10^15; each follows ``k`` discriminator steps.
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
    TypeError, ValueError
        At once, if a count or the seed is out of range, or as `Game`, or the networks are on different devices. When
        the first report is asked for, before the first step, if D's logits are not one a sample, D ends in a sigmoid,
        or G's output has another shape or range than the data (`ganlib.nets.players.check_minibatch`).
    FloatingPointError
        At the report after D's or G's loss stopped being finite; the message names the iterations it lies between.
    """
    for name, count in {"iterations": iterations, "every": every}.items():
        limits.check(name, count, most=limits.STEPS)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    limits.flag("progress", progress)
    if schedule is not None:
        limits.kind("schedule", schedule, Callable, "or None")
    game = Game(generator, discriminator, data, latent, d_optimiser, g_optimiser, k, m, loss, reduction)
    device = next(discriminator.parameters()).device
    if next(generator.parameters()).device != device:
        raise ValueError(f"the generator is on {next(generator.parameters()).device}, the discriminator on {device}")

    def run() -> Iterator[Report]:
        rng, dropout = torch.Generator(device).manual_seed(seed), GlobalNumbers(seed, device)
        watch = Watch(game, iterations)
        with tqdm(total=iterations, disable=not progress, desc="Algorithm 1") as bar:
            for start in range(0, iterations, every):
                stop = min(start + every, iterations)
                statistics = torch.zeros((), device=device)  # on the device until the report: no host sync in the loop
                with dropout:
                    for done in range(start, stop):
                        if schedule is not None:
                            schedule(done)
                        if done == 0:
                            players.look(game, rng)
                        statistics = statistics + iteration(game, rng)
                        bar.update()
                means = (statistics / (stop - start)).tolist()
                if not all(map(math.isfinite, means)):
                    raise FloatingPointError(
                        f"a loss stopped being finite between iterations {start + 1} and {stop} "
                        f"(D's {means[0]}, G's {means[1]}): lower the learning rate"
                    )
                yield from watch.remarked([Report(stop, *means)])

    return run()


def _descend(optimiser: Optimizer, loss: Tensor) -> None:
    _without_gradients(optimiser)
    loss.backward()
    optimiser.step()


def _without_gradients(optimiser: Optimizer) -> list[Tensor]:
    """The parameters that learn, their old gradients dropped: ``zero_grad`` without what it records for profilers."""
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.requires_grad]
    for parameter in parameters:
        parameter.grad = None
    return parameters


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
