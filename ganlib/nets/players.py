"""What is refused before the first step: players that would train and report numbers, and not learn.

Shapes and optimisers are compared on the host, at no cost, in every engine. `look` also reads values, once, from the
minibatches that the first iteration is about to use: it draws nothing and leaves both nets as they were.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from ganlib import limits
from ganlib.data.images import Images
from ganlib.sampling import evaluating

# Random weights a net is tried with. Where the last layer is free, one of its outputs is in [-1, 1] by chance with a
# probability below 1/6 each time, in [0, 1] with half of that: all eight times with less than one in a million.
DRAWS = 8
# Share of G's range by which data may leave it: a ring of radius 1 with narrow modes suits a tanh well enough.
SLACK = 0.1


def check_optimiser(name: str, optimiser: Optimizer, net: nn.Module, other: nn.Module) -> None:
    """Refuse an optimiser that does not hold exactly its own net's parameters; frozen ones it may hold or not.

    Parameters
    ----------
    name : "d_optimiser" or "g_optimiser".
    net, other : the player that it trains, and the other one.

    Raises
    ------
    TypeError
        If it is no optimiser of torch's, or a net no module.
    ValueError
        If it holds tensors of the other net or of none, or lacks a parameter of its own that wants gradients.
    """
    limits.kind(name, optimiser, Optimizer, "such as torch.optim.Adam(net.parameters())")
    limits.kind("net", net, nn.Module)
    limits.kind("other", other, nn.Module)
    whose, others = ("discriminator", "generator") if name == "d_optimiser" else ("generator", "discriminator")
    held = {id(p) for group in optimiser.param_groups for p in group["params"]}
    own = dict(net.named_parameters())
    strangers = held - {id(p) for p in own.values()}
    theirs = strangers & {id(p) for p in other.parameters()}
    remedy = f"make it from {whose}.parameters(), after the net itself"
    if theirs:
        raise ValueError(f"{name} holds {len(theirs)} parameters of the {others}: {remedy}, and from nothing else")
    if strangers:
        raise ValueError(
            f"{name} holds {len(strangers)} tensors that are not the {whose}'s, perhaps an earlier net's: {remedy}"
        )
    learning = [each for each, p in own.items() if p.requires_grad]
    if not learning:
        raise ValueError(f"the {whose} has no parameter with requires_grad=True; it cannot learn: unfreeze a layer")
    missing = [each for each in learning if id(own[each]) not in held]
    if missing:
        raise ValueError(
            f"{name} lacks {len(missing)} of the {whose}'s {len(learning)} parameters ({', '.join(missing[:3])}"
            f"{', ...' if missing[3:] else ''}): {remedy}; layers that shall not learn get requires_grad_(False)"
        )


def check_samples(x: Tensor, fake: Tensor) -> None:
    """Refuse a G whose output (fake) has another shape than the data (x): D would see two kinds, or broadcast one.

    Raises
    ------
    ValueError
        Naming both shapes.
    """
    if fake.shape != x.shape:
        raise ValueError(
            f"G's output has shape {tuple(fake.shape)}, the data {tuple(x.shape)}; they must be alike: reshape G's "
            f"output{', or take the data as vectors with .flattened()' if x.ndim > fake.ndim else ''}"
        )


def one_a_sample(logits: Tensor, samples: Tensor) -> Tensor:
    """D's logits, if there is one for each of the samples.

    Raises
    ------
    ValueError
        Naming the shape that D gave and the one it must give.
    """
    wanted = tuple(samples.shape[:1])
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != wanted:
        raise ValueError(
            f"D's logits have shape {shape} for {wanted[-1]} samples; they must be one a sample, {wanted}: give D one "
            f"output unit, and end it in {'.squeeze(-1)' if shape == (*wanted, 1) else 'a flatten'}"
        )
    return logits


def look(game: Any, rng: torch.Generator) -> None:
    """Draw the first minibatches of a `ganlib.algorithm1.Game`, refuse what they show to be hopeless, hand them to it.

    Errors as `check_minibatch`.
    """
    z, x = game.latent.minibatch(game.m, rng), game.data.minibatch(game.m, rng)
    check_minibatch(game, z, x)
    game.latent, game.data = _Seen(game.latent, z), _Seen(game.data, x)


@torch.no_grad()
def check_minibatch(game: Any, z: Tensor, x: Tensor) -> None:
    """Refuse players of a `ganlib.algorithm1.Game` that minibatches of noise and of data show to be hopeless.

    Changes neither net nor random numbers.

    D ends in a sigmoid, and G in a sigmoid or a tanh, if its outputs stay in [0, 1] or [-1, 1] whatever its weights
    are: that is tried with random ones. Logits that lie in [0, 1] by chance, all zero for instance, do not stay there.

    Raises
    ------
    ValueError
        If D's logits are not one a sample or D ends in a sigmoid; if G's output has another shape than the data, or
        its range leaves part of the data out, or is [-1, 1] for data that fill [0, 1].
    TypeError
        If a minibatch is no tensor of floats.
    """
    # `_orig_mod`: compiled nets would compile anew for each draw.
    generator, discriminator = (getattr(net, "_orig_mod", net) for net in (game.generator, game.discriminator))
    with _undisturbed(generator, discriminator):
        for name, drawn in (("latent", z), ("data", x)):
            if not isinstance(drawn, Tensor) or not drawn.is_floating_point() or not drawn.numel():
                raise TypeError(f"{name}.minibatch gave {limits.shown(drawn)}; it must give a torch tensor of floats")
        fake = generator(z)
        check_samples(x, fake)
        for samples in (x, fake):
            one_a_sample(discriminator(samples), samples)
        if _range(discriminator, x, fake) == (0, 1):
            raise ValueError(
                "D's outputs lie in [0, 1] whatever its weights are: it ends in a sigmoid or the like. Give D without "
                "it, ending in the logit; D(x) is the logit's sigmoid, and the losses take it themselves"
            )
        _check_range(game.data, x, _range(generator, z))


def _check_range(source: Any, x: Tensor, reach: tuple[float, float]) -> None:
    """Refuse data of another range than G's: Images say theirs, of others the minibatch shows it."""
    low, high = x.min().item(), x.max().item()
    if isinstance(source, Images) and source.norm is None:
        low, high = source.low, source.high
    least, most = reach
    slack = SLACK * (most - least if math.isfinite(most - least) else high - low)
    # Real-valued toys do not begin and end at 0 and 1 exactly; pixels scaled to [0, 1] do. They use half of a tanh.
    halved = (least, most, low, high) == (-1, 1, 0, 1)
    if halved or low < least - slack or high > most + slack:
        raise ValueError(
            f"the data lie in [{low:.4g}, {high:.4g}], G's outputs in [{least:g}, {most:g}] whatever its weights are: "
            "scale the data to G's range (Images: .scaled(-1, 1) or .scaled(0, 1)), or give G another last layer"
        )


def _range(net: nn.Module, *inputs: Tensor) -> tuple[float, float]:
    """The smallest of [0, 1], [-1, 1], and the half-lines and the line beyond, that a net's outputs cannot leave."""
    low, high = _extremes([net(each) for each in inputs])
    rng = torch.Generator().manual_seed(0)
    for _ in range(DRAWS):
        if low == -math.inf and high == math.inf:
            break
        # Buffers too: batch normalisation may not count these.
        tensors = {n: b.clone() for n, b in net.named_buffers()} | {
            n: _random(p, rng) for n, p in net.named_parameters()
        }
        below, above = _extremes([functional_call(net, tensors, (each,)) for each in inputs])
        low, high = min(low, below), max(high, above)
    return low, high


def _extremes(outputs: list[Tensor]) -> tuple[float, float]:
    """The narrowest of `_range`'s answers that holds these outputs; the whole line if one is not a number."""
    found = torch.stack([torch.stack(torch.aminmax(each.float())) for each in outputs]).cpu()
    low, high = found[:, 0].min().item(), found[:, 1].max().item()
    return (0 if low >= 0 else -1 if low >= -1 else -math.inf), (1 if high <= 1 else math.inf)


def _random(parameter: Tensor, rng: torch.Generator) -> Tensor:
    """Random values of a parameter's shape: large enough that a free bias leaves [-1, 1], tame from layer to layer."""
    if not parameter.is_floating_point():
        return parameter
    inputs = parameter[0].numel() if parameter.ndim > 1 else 1
    return ((torch.rand(parameter.shape, generator=rng) - 0.5) * (14 / math.sqrt(inputs))).to(parameter)


@contextmanager
def _undisturbed(*nets: nn.Module) -> Iterator[None]:
    """The nets in evaluation mode, where nothing counts or drops; each layer's mode and random numbers come back."""
    devices = {p.device for net in nets for p in net.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(list(devices)), evaluating(*nets):
        yield


class _Seen:
    """A source whose next minibatch has been looked at already: it is handed out first."""

    def __init__(self, source: Any, batch: Tensor) -> None:
        self.source, self.batches = source, [batch]

    def minibatch(self, m: int, rng: Any) -> Tensor:
        batch: Tensor = self.batches.pop() if self.batches else self.source.minibatch(m, rng)
        return batch
