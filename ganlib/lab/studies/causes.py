"""Why 170 nats and not 225? The paper's own pair at full width, with one cause changed at a time.

Algorithm 1 alternates, the published code steps both players at once. Those two differ in three ways: the order, the
noise (fresh for the generator's step or that of the discriminator's) and D's dropout masks (likewise). Two trainings
take order and freshness apart: Algorithm 1's order with noise and masks used again, the original's with fresh ones.
Two more change what the published files leave open or changed in their history: the distribution of the noise, and
whether minibatches are drawn with replacement or an epoch shows every image once.

Each training is the first part of a full-length run but for its change: `mnist-paper` and `mnist-paper-alternating`,
whose committed curves are what to compare with.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganlib import data
from ganlib.algorithm1 import Game, Source
from ganlib.data.images import Images
from ganlib.lab import runs
from ganlib.lab.measure import SAMPLES
from ganlib.lab.runs import Run
from ganlib.lab.studies import judging
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_positive,
    check_types,
    check_unchanged,
    read,
    side_by_side,
)
from ganlib.lab.studies.judging import Judge
from ganlib.lab.training import Training
from ganlib.metrics.features import ASSETS, WEIGHTS

COLUMNS = ("iteration", "sigma", "validation log-likelihood (nats)", "mean D on real images", "mean D on samples")
PROTOCOL = (
    "each training is the named run's first part with one change. Along the way the score is that of the generator at "
    f"that point, on the first validation images; nothing is chosen, the last generator is measured. {judging.SAID}. "
    "Mean D is over the iterations since the last point, with dropout. Each training has one thread"
)


def same_noise(game: Game, rng: torch.Generator) -> Tensor:
    """Algorithm 1's order with k = 1, but G's step takes the noise and D's dropout masks of D's step once more."""
    z, x = game.latent.minibatch(game.m, rng), game.data.minibatch(game.m, rng)
    before_masks = rng.get_state()
    with torch.no_grad():
        fake = game.generator(z)
    real_logits, fake_logits = game.logits(x, fake)
    d_loss = game.d_loss(real_logits, fake_logits)
    _gradients(game.d_optimiser, d_loss)
    game.d_optimiser.step()
    rng.set_state(before_masks)
    _, again = game.logits(x, game.generator(z))  # x too, so that the samples meet the same masks
    g_loss = game.g_loss(again)
    _gradients(game.g_optimiser, g_loss)
    game.g_optimiser.step()
    return game.figures(d_loss, g_loss, real_logits, fake_logits)


def fresh_noise(game: Game, rng: torch.Generator) -> Tensor:
    """The original's order, both players from the same parameters, but G's step has noise and masks of its own."""
    z, x = game.latent.minibatch(game.m, rng), game.data.minibatch(game.m, rng)
    with torch.no_grad():
        fake = game.generator(z)
    real_logits, fake_logits = game.logits(x, fake)
    d_loss = game.d_loss(real_logits, fake_logits)
    g_loss = game.g_loss(game.discriminator(game.generator(game.latent.minibatch(game.m, rng))))
    for optimiser, loss in ((game.d_optimiser, d_loss), (game.g_optimiser, g_loss)):
        _gradients(optimiser, loss)
    game.d_optimiser.step()
    game.g_optimiser.step()
    return game.figures(d_loss, g_loss, real_logits, fake_logits)


class Shuffled:
    """Minibatches of a data set of n examples that show each of them once in n // m of them, then in another order."""

    def __init__(self, source: Images) -> None:
        self.source, self.order = source, torch.empty(0, dtype=torch.int64)

    def minibatch(self, m: int, rng: torch.Generator) -> Tensor:
        """The next m examples."""
        if len(self.order) < m:  # at first, and where less than a minibatch is left: that is left out
            self.order = torch.randperm(len(self.source), generator=rng, device=rng.device)
        now, self.order = self.order[:m], self.order[m:]
        return self.source.floats(now)


@dataclass(frozen=True)
class Cause:
    """One change: of a named run's settings, of its iteration, or of its source of minibatches."""

    run: str
    sets: dict[str, Any]
    iterate: Callable[[Game, torch.Generator], Tensor] | None = None
    source: Callable[[Any], Source] | None = None


CAUSES = {
    "alternating, D's noise and masks again": Cause("mnist-paper-alternating", {}, iterate=same_noise),
    "simultaneous, fresh noise and masks": Cause("mnist-paper", {}, iterate=fresh_noise),
    "alternating, Gaussian noise": Cause("mnist-paper-alternating", {"latent_law": "normal"}),
    "alternating, shuffled epochs": Cause("mnist-paper-alternating", {}, source=Shuffled),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the trainings.

    Parameters
    ----------
    data : "mnist", or "digits" for a quick look.
    width, units : of the pair's layers; the paper's by default.
    iterations : of each training.
    points : of its curve; they divide the iterations.
    seeds : training seeds of each, from 0.
    samples : drawn from each generator, >= 4.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    width: int = 1200
    units: int = 240
    iterations: int = 20_000
    points: int = 8
    seeds: int = 1
    samples: int = SAMPLES

    def __post_init__(self) -> None:
        check_types(self)
        check_digits(self.data)
        check_positive(self, "width", "units", "iterations", "points", "seeds")
        if self.iterations % self.points:
            raise ValueError(f"iterations is {self.iterations}, points {self.points}; give points that divide it")
        if self.samples < 4:
            raise ValueError(f"samples is {self.samples}; give at least 4")
        for name in CAUSES:
            self.changed(name)

    def changed(self, name: str) -> Run:
        """The run of a cause, as long as asked."""
        own = {"data": self.data, "width": self.width, "units": self.units, "iterations": self.iterations}
        return runs.get(CAUSES[name].run, own | {"every": self.iterations // self.points} | CAUSES[name].sets)


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train every cause and seed; errors as `ganlib.data.load`."""
    splits = {split: data.load(settings.data, split).flattened().to(device) for split in data.SPLITS}
    inputs: dict[str, str] = {}
    read(ASSETS, WEIGHTS, inputs)
    found: dict[str, Any] = {
        name: {"run": cause.run, "set": cause.sets, "by_seed": []} for name, cause in CAUSES.items()
    }
    sha256 = splits["train"].sha256
    jobs = [(settings, name, seed, device.type, sha256) for seed in range(settings.seeds) for name in CAUSES]
    for (_, name, seed, *_), one in zip(jobs, side_by_side(_train, jobs, device), strict=True):
        found[name]["by_seed"].append({"seed": seed} | one)
        say(f"{name}, seed {seed}: {one['figures']['log_likelihood']['value']:.1f} nats on the test images")
    return Outcome(
        {"protocol": PROTOCOL, "columns": list(COLUMNS), "by_cause": found}, list(splits.values()), inputs=inputs
    )


def begin(settings: Settings, name: str, seed: int, device: str) -> Training:
    """The training of a cause, not yet begun."""
    cause, run = CAUSES[name], settings.changed(name)
    with redirect_stdout(sys.stderr):  # which device it is on
        training = Training(run, seeds=[seed], device=device, graph=False, iterate=cause.iterate)
    if cause.source is not None:
        training.game.data = cause.source(training.data)
    return training


def _train(settings: Settings, name: str, seed: int, device: str, sha256: str) -> dict[str, Any]:
    """A whole training: its curve and its last generator's figures; in a process of its own."""
    splits = {split: data.load(settings.data, split).flattened().to(device) for split in ("valid", "test")}
    training, judge = begin(settings, name, seed, device), Judge(splits["valid"], splits["test"])
    check_unchanged(training, sha256)
    curve = []
    for (report,) in training.reports():
        sigma, score = judge.score(judge.drawn(training, settings.samples))
        numbers = [float(f"{number:.7g}") for number in (sigma, score, report.d_real, report.d_fake)]
        curve.append([report.iteration, *numbers])
    return {"curve": curve, "figures": judge.figures(judge.drawn(training, settings.samples))}


def _gradients(optimiser: Optimizer, loss: Tensor) -> None:
    """Give the optimiser's own parameters, and no others, their gradients."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
