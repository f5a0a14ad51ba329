"""Table 1's other rows, trained here on the same digits: models that an image is drawn from by a Markov chain.

Each is scored twice. As the deep GSN's authors scored it: one chain from a test image, its means as kernels, the start
among them, and a stated width. And by the paper's protocol: ten thousand means of many chains, the width chosen on
validation images. Then by everything else that the book measures generators with, and by how many independent samples
its chain is worth. What is not to be had of a row's published recipe is said in `RECIPES`.

A training may take hours: it is stopped and gone on with at every point of its curve, from ``NAME-training`` in the
study's folder.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ganlib import data, limits
from ganlib.errors import CheckpointError
from ganlib.lab import checkpoint
from ganlib.lab.models import contractive
from ganlib.lab.models.contractive import StackedCAE
from ganlib.lab.models.dbn import DBN, PersistentContrast
from ganlib.lab.models.gsn import GSN
from ganlib.lab.models.learning import Descent, Learning
from ganlib.lab.speed import onednn
from ganlib.lab.studies import judging, measures
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_positive,
    check_types,
    figure,
    picture_file,
    read,
)
from ganlib.lab.studies.judging import Judge
from ganlib.metrics import parzen
from ganlib.metrics.autocorrelation import effective_samples
from ganlib.metrics.features import ASSETS, WEIGHTS

RECIPES = {
    "dbn": "two restricted Boltzmann machines, one on the other, trained greedily by persistent contrastive "
    "divergence. The layer sizes, the length of training and the width behind the published number were not to be had: "
    "they are ours",
    "cae": "two contractive autoencoders, the second on the codes of the first. The layer sizes, the contraction, the "
    "walk's noise and the width behind the published number were not to be had: the contraction is that of the "
    "authors' public code, the noise is chosen on validation images",
    "dae": "a denoising autoencoder of one layer trained with walkback, by the settings of the authors' public code, "
    "on images binarised at 1/2; its length is ours",
    "gsn": "a deep generative stochastic network of two layers, by the settings of the authors' public code but for "
    "the training images, 50,000 and not 60,000, and the length",
}
COLUMNS = ("layer", "epoch", "loss, or what its model's update returns", "validation log-likelihood (nats)")
STRIP = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SHOWN = 30
PROTOCOL = (
    "kernels are means, numbers in [0, 1], never drawn pixels. Authors' protocol: one chain from the first test image, "
    "which is its first kernel, at a fixed width. Paper's protocol and all other measures: many chains, each from a "
    "training image of its own, a burn-in left out, then states some steps apart. Effective samples: by the "
    f"autocorrelation's sum (Geyer, 1992), of long chains of means, each from a test image. {judging.SAID}. The "
    "curve's scores are of fewer steps. A score of a chain that has not left its start is a score of real images"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of a row's model, its training and its chains.

    Parameters
    ----------
    row : dbn, cae, dae or gsn.
    data : "mnist", or "digits" for a quick look.
    hidden : units of each layer, separated by commas; two layers, one for dae.
    epochs : of each layer's training, separated by commas; one number where all are trained together (dae, gsn).
    points : of the curve, in each training; they divide its epochs.
    m, lr, lr_decay, momentum : of the minibatches and of the rate, see `ganlib.lab.models.learning.Descent`; a DBN's
        rate falls linearly and has no momentum.
    contraction : of the CAEs.
    walkbacks : of dae and gsn.
    noises : of a CAE's walk, separated by commas, the best chosen on validation images.
    sigma : the fixed width of the authors' protocol.
    steps, long : of the long chains, and how many, >= 2.
    chains, burn_in, apart, samples : of the other chains; samples is a multiple of chains.
    seed : of the weights, of the training and of the chains.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    row: str = "gsn"
    data: str = "mnist"
    hidden: str = "1500,1500"
    epochs: str = "40"
    points: int = 20
    m: int = 100
    lr: float = 0.125
    lr_decay: float = 0.995
    momentum: float = 0.5
    contraction: float = 0.0
    walkbacks: int = 4
    noises: str = ""
    sigma: float = 0.2
    steps: int = 10_000
    long: int = 4
    chains: int = 100
    burn_in: int = 1_000
    apart: int = 10
    samples: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_digits(self.data)
        limits.one_of("row", self.row, RECIPES)
        check_positive(self, "points", "m", "lr", "sigma", "steps", "chains", "apart", "samples")
        for name in ("hidden", "epochs"):
            if not re.fullmatch(r"\d+(,\d+)*", getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give whole numbers, separated by commas")
        layers, trainings = {"dbn": (2, 2), "cae": (2, 2), "dae": (1, 1), "gsn": (2, 1)}[self.row]
        if len(self.sizes) != layers or len(self.lengths) != trainings:
            raise ValueError(
                f"hidden is {self.hidden!r}, epochs {self.epochs!r}; the row {self.row} has {layers} layer(s) in "
                f"{trainings} training(s)"
            )
        for length in self.lengths:
            if not length or length % self.points:
                raise ValueError(f"epochs is {self.epochs!r}, points {self.points}; give points that divide each")
        if self.steps < 4 or self.long < 2 or self.burn_in < 0 or self.samples % self.chains:
            raise ValueError(
                f"steps is {self.steps}, long {self.long}, burn_in {self.burn_in}, samples {self.samples}, chains "
                f"{self.chains}; give at least 4 steps, 2 long chains, a burn-in of 0 or more, and samples that chains "
                "divides"
            )
        if bool(self.noises) != (self.row == "cae"):
            raise ValueError(f"noises is {self.noises!r}; a CAE's walk needs some, the other rows have no use for them")
        for noise in self.scales:
            limits.real("each of the noises", noise, "(0, 1e30]")

    @property
    def sizes(self) -> list[int]:
        """Units a layer, as numbers."""
        return [int(size) for size in self.hidden.split(",")]

    @property
    def lengths(self) -> list[int]:
        """Epochs a training, as numbers."""
        return [int(length) for length in self.epochs.split(",")]

    @property
    def scales(self) -> list[float]:
        """The noises of a CAE's walk, as numbers; one that is not used for the other rows."""
        return [float(noise) for noise in self.noises.split(",")] if self.noises else [1.0]


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train the row's model, or go on with it; run its chains, look at what they give.

    Errors as `ganlib.data.load`; CheckpointError if ``NAME-training`` in the folder was begun with other settings or
    data; Diverged.
    """
    splits = {split: data.load(settings.data, split).flattened().to(device) for split in data.SPLITS}
    inputs: dict[str, str] = {}
    read(ASSETS, WEIGHTS, inputs)
    images, judge = splits["train"].floats(), Judge(splits["valid"], splits["test"])
    if settings.chains > len(images) or settings.long > len(judge.test):
        raise ValueError(
            f"chains is {settings.chains}, long {settings.long}; {splits['train'].name} has {len(images):,} training "
            f"and {len(judge.test):,} test images to start them at"
        )
    with onednn.products():
        model = build(settings, images)
        curve = _train(settings, model, images, judge, folder, splits["train"].sha256, say)
        noise, tried = _choose(settings, model, images, judge)
        drawn = _kernels(settings, model, images, settings.burn_in, settings.apart, noise)
        say(f"{settings.row}: {settings.chains} chains are done")
        chains = _long(settings, model, judge.test, noise)
        say(f"{settings.row}: {settings.long} long chains are done")
        scored = parzen.evaluate(chains[0], judge.valid, judge.test, [settings.sigma])
    worth = [effective_samples(chain) for chain in chains]
    spread = measures.over_draws(worth, "independent samples", settings.steps, "steps of a chain")
    figures: dict[str, Any] = {
        "recipe": RECIPES[settings.row],
        "protocol": PROTOCOL,
        "columns": list(COLUMNS),
        "curve": curve,
        "noises_tried": tried,
        "authors": {
            "log_likelihood": figure(
                scored.mean,
                "nats",
                scored.test,
                "test images",
                scored.standard_error,
                "standard error over test images",
            ),
            "sigma": figure(settings.sigma, "pixels in [0, 1]", settings.steps, "kernels; the width is fixed"),
        },
        "paper": judge.figures(drawn),
        "critic": judge.told_apart(drawn),
        "nearest": judge.nearest(drawn, images),
        "effective_samples": spread | {"plus_minus_is": f"standard deviation over {settings.long} chains"},
    }
    say(f"{settings.row}: {figures['paper']['log_likelihood']['value']:.1f} nats on the test images")
    first = chains[0][[step for step in STRIP if step < settings.steps]]
    pictures = {"samples": drawn[:: max(1, len(drawn) // SHOWN)][:SHOWN], "chain": first}
    shaped = {name: each.reshape(-1, 28, 28) for name, each in pictures.items()}
    return Outcome(figures, list(splits.values()), {f"row-{settings.row}.npz": picture_file(shaped)}, inputs)


def build(settings: Settings, images: Tensor) -> nn.Module:
    """The row's model, untrained, on the images' device."""
    visible, sizes = images.shape[1], settings.sizes
    model: nn.Module
    if settings.row == "dbn":
        model = DBN(visible, (sizes[0], sizes[1]), images.mean(0).cpu(), seed=settings.seed)
    elif settings.row == "cae":
        model = StackedCAE((visible, *sizes), seed=settings.seed)
    else:
        deep = settings.row == "gsn"
        model = GSN(visible, tuple(sizes), activation="tanh" if deep else "sigmoid", seed=settings.seed)
    return model.to(images.device)


def trainings(settings: Settings, model: nn.Module, images: Tensor) -> Iterator[Learning]:
    """The row's trainings, one after the other: the second begins with what the first one left."""
    own: dict[str, Any] = {"m": settings.m, "seed": settings.seed}
    descent = own | {"lr": settings.lr, "lr_decay": settings.lr_decay, "momentum": settings.momentum}
    if isinstance(model, DBN):
        below, above = settings.lengths
        yield PersistentContrast(model.first, images, epochs=below, lr=settings.lr, **own)
        yield PersistentContrast(model.second, model.begin(images), epochs=above, lr=settings.lr, **own)
    elif isinstance(model, StackedCAE):
        for layer, cae in enumerate(model.layers):
            codes = model.inputs(layer, images)
            yield contractive.training(cast(Any, cae), codes, contraction=settings.contraction, **descent)
    else:
        gsn = cast(GSN, model)
        shown = (images > 0.5).float() if settings.row == "dae" else images  # as the authors' code has it
        yield Descent(gsn, shown, lambda batch, rng: gsn.loss(batch, rng, settings.walkbacks), **descent)


def _train(
    settings: Settings, model: nn.Module, images: Tensor, judge: Judge, folder: Path, sha256: str, say: Say
) -> list[list[Any]]:
    asked = asdict(settings) | {"data_sha256": sha256}
    curve: list[list[Any]] = []
    last = len(settings.lengths) - 1
    for layer, (learning, epochs) in enumerate(zip(trainings(settings, model, images), settings.lengths, strict=True)):
        place = folder / f"row-{settings.row}-training" / f"layer-{layer}"
        found, refused = checkpoint.newest(place)
        for problem in refused:
            say(f"passed over: {problem}")
        if found is not None:
            checkpoint.check_settings(found.settings, asked)
            try:
                learning.load(found.tensors)
                curve = found.record["curve"]
            except (KeyError, ValueError) as error:
                raise CheckpointError(f"{found.path}: {error}; begin again in an empty folder") from error
        each = epochs // settings.points
        while (epoch := learning.done // learning.epoch_length) < epochs:
            loss = learning.advance(each * learning.epoch_length)
            score = None
            if layer == last:  # before, there is no model of images
                drawn = _kernels(settings, model, images, settings.burn_in // 10, 1, settings.scales[0])
                score = float(f"{judge.score(drawn)[1]:.7g}")
            curve.append([layer, epoch + each, float(f"{loss:.7g}"), score])
            checkpoint.save(place, learning.done, learning.state(), asked, {"curve": curve})
            say(f"{settings.row}, layer {layer + 1}: epoch {epoch + each} of {epochs}, {loss:.5g}, {score} nats")
    return curve


def _walk(
    settings: Settings, model: nn.Module, start: Tensor, steps: int, rng: torch.Generator, noise: float
) -> Iterator[Tensor]:
    if isinstance(model, StackedCAE):
        return model.chain(start, steps, rng, sigma=noise)
    chain: Callable[..., Iterator[Tensor]] = cast(Any, model).chain
    return chain(start, steps, rng)


def _kernels(settings: Settings, model: nn.Module, images: Tensor, burn_in: int, apart: int, noise: float) -> Tensor:
    """Means of chains that start at the first training images, (samples, visible): those of the first come first."""
    rng = torch.Generator(images.device).manual_seed(settings.seed)
    kept = settings.samples // settings.chains
    walk = _walk(settings, model, images[: settings.chains], burn_in + kept * apart, rng, noise)
    means = list(itertools.islice(walk, burn_in + apart - 1, None, apart))
    return torch.stack(means, 1).flatten(0, 1)


def _long(settings: Settings, model: nn.Module, test: Tensor, noise: float) -> Tensor:
    """Chains from the first test images, (long, steps, visible), the start in front and counted."""
    rng = torch.Generator(test.device).manual_seed(settings.seed + 1)
    start = test[: settings.long]
    found = torch.empty(settings.long, settings.steps, test.shape[1], device=test.device)
    found[:, 0] = start
    for step, means in enumerate(_walk(settings, model, start, settings.steps - 1, rng, noise), 1):
        found[:, step] = means
    return found


def _choose(settings: Settings, model: nn.Module, images: Tensor, judge: Judge) -> tuple[float, list[dict[str, float]]]:
    """The noise of a CAE's walk that is best on validation images, and what each one scored."""
    if settings.row != "cae":
        return math.nan, []
    tried = []
    for noise in settings.scales:
        drawn = _kernels(settings, model, images, settings.burn_in, settings.apart, noise)
        sigma, score = judge.score(drawn)
        tried.append({"noise": noise, "sigma": sigma, "score": score})
    return max(tried, key=lambda each: each["score"])["noise"], tried
