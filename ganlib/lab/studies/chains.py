"""Samples of a Gibbs chain against a generator's independent ones: autocorrelation, and effective samples a second.

The paper says that its samples "are uncorrelated because the sampling process does not depend on Markov chain mixing"
(caption of Figure 2). Here a restricted Boltzmann machine is trained on the digits, binarised at 1/2, and its chain's
binary states are compared with the generator's samples, binarised in the same way: real-valued means would be another
kind of sample, and random binarisation would add noise that hides correlation.

Independent does not mean good: an untrained generator's samples are as independent as a trained one's, and a chain's
states have the machine's law however correlated they are. The study therefore measures the untrained generator too, and
whether chains from two different starts reach the same free energy.
"""

from __future__ import annotations

import io
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganlib import data
from ganlib.data.images import Images
from ganlib.device import double
from ganlib.lab import measure, runs
from ganlib.lab.generators import open_trained
from ganlib.lab.models import rbm
from ganlib.lab.models.rbm import RBM
from ganlib.lab.runs import Run
from ganlib.lab.studies import mixing
from ganlib.lab.studies.common import Outcome, Say, check_positive, check_types, figure, read
from ganlib.sampling import push

LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SHOWN = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
PROTOCOL = (
    "A step of the chain draws all hidden units and then all visible ones; a state is the visible units, 0 or 1. The "
    "generator's samples are 1 where a pixel is above 1/2. Autocorrelation: pixels together, about each sequence's own "
    "mean. Effective samples: by the autocorrelation's sum (Geyer, 1992), and, without it, by how much the means of "
    "sequences differ ('between'). Those a second take the latter for the chain, and 1 a sample for the generator, "
    "whose z are independent. Timed: one thread, blocks of either in turn, one at a time and then as many at once as "
    "there are chains; noise and binarisation included, training and burn-in not"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the machine, its chains and the comparison.

    Parameters
    ----------
    data : of `ganlib.data.load`, one with grey images.
    generator : file of a trained generator, in the folder.
    hidden, iterations, every, m, lr, seed : of `ganlib.lab.models.rbm.RBM` and `ganlib.lab.models.rbm.train`.
    chains : an even number >= 4: half start at training images, half at fair coins.
    burn_in : steps left out first.
    steps : of each chain after that, and samples of each sequence of the generator, >= 4.
    rounds, block : how often each is timed, and for how many states a sequence.

    Raises
    ------
    TypeError, ValueError
        If one is of another type or impossible.
    """

    data: str = "mnist"
    generator: str = "mnist-paper-seed0.safetensors"
    hidden: int = 500
    iterations: int = 40_000
    every: int = 5_000
    m: int = 100
    lr: float = 0.05
    seed: int = 0
    chains: int = 20
    burn_in: int = 5_000
    steps: int = 20_000
    rounds: int = 11
    block: int = 1_000

    def __post_init__(self) -> None:
        check_types(self)
        if self.data not in ("digits", "mnist", "fashion-mnist"):
            raise ValueError(f"data is {self.data!r}; this study is for grey images: digits, mnist or fashion-mnist")
        check_positive(self, "hidden", "iterations", "every", "m", "lr", "rounds", "block")
        if self.chains < 4 or self.chains % 2 or self.steps < 4 or self.burn_in < 0 or self.lr == math.inf:
            raise ValueError(
                f"chains is {self.chains}, steps {self.steps}, burn_in {self.burn_in}, lr {self.lr}; give an even "
                "number of at least 4 chains, 4 or more steps, a burn-in of 0 or more and a finite lr"
            )


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train the machine, run its chains, draw from the generator, measure both, time both in turn.

    "chains.npz" holds the first chain, which started at a training image, at "steps" after the burn-in, and as many of
    the generator's samples: the first ones, binarised.

    Errors as `ganlib.data.load`, `ganlib.lab.studies.common.read` and `ganlib.lab.generators.open_trained`; ValueError
    if the generator's images are others than the data's.
    """
    inputs: dict[str, str] = {}
    trained, _ = open_trained(read(folder, settings.generator, inputs))
    train, test = (data.load(settings.data, split).to(device) for split in ("train", "test"))
    if (trained.run.data, trained.run.dim) != (settings.data, train.pixels[0].numel()):
        raise ValueError(
            f"{settings.generator} was trained on {trained.run.data}; this study needs one trained on {settings.data}"
        )
    trained.check_data()
    machine, weights = _machine(settings, _binary(train), say)
    rng = torch.Generator(device).manual_seed(settings.seed + 1)  # training has used up the seed's own numbers
    states = _chains(machine, _binary(train), settings, rng)
    say(f"{settings.chains} chains of {settings.steps:,} steps are done")
    generators = {
        "generator": trained.generator(device=device),
        "untrained generator": runs.networks(trained.run, trained.seeds[0], train.flattened())[0].to(device),
    }
    figures: dict[str, Any] = {"protocol": PROTOCOL, "lags": [lag for lag in LAGS if lag < settings.steps]}
    figures["gibbs chain"] = mixing.correlation(states, figures["lags"])
    shown = [step for step in SHOWN if step < settings.steps]
    pictures: dict[str, Any] = {"steps": np.array(shown), "chain": _picture(states[0, shown], train)}
    for name, net in generators.items():
        drawn = _sequences(trained.run, net, settings, rng)
        figures[name] = mixing.correlation(drawn, figures["lags"])
        if name == "generator":
            pictures["generator"] = _picture(drawn[0, : len(shown)], train)
        say(f"{name}: {figures[name]['effective_samples_per_10000']['value']:,.0f} effective samples in 10,000")
    figures["free energy"] = _free_energies(machine, states, _binary(test))
    figures["time"] = _timings(
        machine, states[:, -1].float(), trained.run, generators["generator"], figures["gibbs chain"], settings, rng
    )
    say(f"effective samples a second, generator to chain: {figures['time']['in_parallel']['ratio']['value']:,.0f}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **pictures)
    return Outcome(figures, [train, test], {"rbm.safetensors": weights, "chains.npz": buffer.getvalue()}, inputs)


def _machine(settings: Settings, images: Tensor, say: Say) -> tuple[RBM, bytes]:
    """The trained machine, in the half precision in which it is committed, and its file."""
    machine = RBM(images.shape[1], settings.hidden, images.float().mean(0).cpu(), seed=settings.seed).to(images.device)
    training = rbm.train(
        machine,
        images,
        iterations=settings.iterations,
        every=settings.every,
        m=settings.m,
        lr=settings.lr,
        seed=settings.seed,
    )
    for reports, gap in enumerate(training, 1):
        at = min(reports * settings.every, settings.iterations)
        say(f"iteration {at:,}: free energy of a minibatch {gap:+.1f} nats from the chains'")
    weights = rbm.file(machine, settings.iterations)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "rbm.safetensors"
        path.write_bytes(weights)
        return rbm.load(path).to(images.device), weights


def _chains(machine: RBM, images: Tensor, settings: Settings, rng: torch.Generator) -> Tensor:
    """States after the burn-in, (chains, steps, pixels) uint8; the first half of the chains started at images."""
    half = settings.chains // 2
    pick = torch.randint(len(images), (half,), generator=rng, device=images.device)
    coins = torch.rand(half, images.shape[1], generator=rng, device=images.device) < 0.5
    v = machine.gibbs(torch.cat([images[pick], coins]).float(), settings.burn_in, rng)
    states = torch.empty(settings.chains, settings.steps, images.shape[1], dtype=torch.uint8, device=images.device)
    for step in range(settings.steps):
        v = machine.gibbs(v, 1, rng)
        states[:, step] = v.to(torch.uint8)
    return states


def _sequences(run: Run, net: nn.Module, settings: Settings, rng: torch.Generator) -> Tensor:
    """As many binarised samples as the chains have states, (chains, steps, pixels) uint8."""
    prior = runs.latent(run)
    return torch.stack([_sample(run, net, prior.minibatch(settings.steps, rng)) for _ in range(settings.chains)])


def _sample(run: Run, net: nn.Module, z: Tensor) -> Tensor:
    return (measure.to_unit(run, push(net, z)).flatten(1) > 0.5).to(torch.uint8)


def _free_energies(machine: RBM, states: Tensor, test: Tensor) -> dict[str, Any]:
    """Mean free energy of the states of chains from either start, and of test images."""
    half = len(states) // 2
    means = np.array([double(machine.free_energy(sequence.float())).mean().item() for sequence in states])
    own = double(machine.free_energy(test.float()))
    unit = "nats, up to the machine's log Z"
    found = {
        f"started at {start}": figure(
            part.mean().item(), unit, half, "chains", mixing.standard_error(part), "standard error over chains"
        )
        for start, part in (("training images", means[:half]), ("fair coins", means[half:]))
    }
    error = own.std(correction=0).item() / math.sqrt(len(own))
    return found | {
        "test images": figure(
            own.mean().item(), unit, len(own), "test images", error, "standard error over test images"
        )
    }


def _timings(
    machine: RBM,
    v: Tensor,
    run: Run,
    net: nn.Module,
    correlated: dict[str, Any],
    settings: Settings,
    rng: torch.Generator,
) -> dict[str, Any]:
    """States a second of both, one at a time and one of each chain at once, and effective samples a second.

    Parameters
    ----------
    v : (chains, pixels), where the timed chains go on from.
    correlated : of the chains, from `mixing.correlation`.
    """
    prior = runs.latent(run)
    names = ("gibbs chain", "generator")
    worth = {"gibbs chain": correlated["effective_samples_per_10000_between"]["value"] / 10_000, "generator": 1.0}
    found: dict[str, Any] = {}
    for how, width in (("one_at_a_time", 1), ("in_parallel", len(v))):

        def chain(width: int = width) -> Tensor:
            return machine.gibbs(v[:width], settings.block, rng)

        def generator(width: int = width) -> Tensor:
            return torch.stack([_sample(run, net, prior.minibatch(width, rng)) for _ in range(settings.block)])

        seconds = mixing.in_turn(dict(zip(names, (chain, generator), strict=True)), settings.rounds)
        rates = {name: [width * settings.block / each for each in seconds[name]] for name in names}
        effective = {name: [rate * worth[name] for rate in rates[name]] for name in names}
        found[how] = {
            "width": width,
            "states_a_second": {name: mixing.median(rates[name], "states a second") for name in names},
            "effective_a_second": {
                name: mixing.median(effective[name], "effective samples a second") for name in names
            },
            "ratio": mixing.median(
                [g / c for c, g in zip(*effective.values(), strict=True)],
                "effective samples a second, the generator's to the chain's",
            ),
        }
    return found


def _binary(images: Images) -> Tensor:
    """Pixels above 1/2, (N, pixels) bool."""
    return images.pixels.flatten(1) > 127


def _picture(states: Tensor, images: Images) -> np.ndarray:
    pixels: np.ndarray = (states.reshape(-1, *images.pixels.shape[2:]) * 255).cpu().numpy()
    return pixels
