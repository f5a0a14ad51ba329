"""What would the published settings have needed? The paper's pair, made narrower, trained in several ways.

The configuration file of the MNIST run leaves open when to stop, and three of its choices are not the paper's own
text: both players step at once where Algorithm 1 alternates, the learning rate hardly falls, the gradient rule is plain
momentum. The first training is the published one, the second alternates and changes nothing else, and each further one
makes one more change to the second. The pair is narrower than the paper's, so that all of them fit into one sitting;
compare the scores with each other, not with Table 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
import torch

from ganlib import data
from ganlib.lab import measure, runs
from ganlib.lab.runs import Run
from ganlib.lab.settings import DATA
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_positive,
    check_types,
    check_unchanged,
    figure,
    read,
    side_by_side,
)
from ganlib.lab.training import Training
from ganlib.metrics.features import ASSETS, WEIGHTS, digit_classifier, digit_features
from ganlib.metrics.frechet import frechet_distance
from ganlib.sampling import sample

PUBLISHED, ALTERNATING = "as published", "alternating updates"
LONGER = f"{ALTERNATING}, longer"
COLUMNS = ("iteration", "sigma", "validation log-likelihood (nats)", "mean D on real images", "mean D on samples")
PROTOCOL = (
    "the published settings at this width, then with one change, then with one more. Along a training the generator is "
    "kept at evenly spaced iterations; the one with the best Parzen score on the first validation images is measured "
    "on the test images, once (the paper's ten widths, pixels in [0, 1]). The Frechet distance is between the features "
    "of a digit classifier of as many of its samples and of the test images. Mean D is over the iterations since the "
    "last point, with dropout. Each training has one thread. The longer one goes on from where the other one with "
    "alternating updates ends"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the trainings that are compared.

    Parameters
    ----------
    run : whose settings are changed; by SGD, with simultaneous updates, on flat images in [0, 1].
    data : "mnist", or "digits" for a quick look.
    width, units : of the pair's layers.
    iterations : of each training; ``longer``, >= 2, times as many for the one that is only longer.
    points : in ``iterations``, where a generator may be kept; they divide it.
    seeds : training seeds of each, from 0.
    rate_left : share of the learning rate left at the end of the training whose rate falls faster, in [1e-300, 1).
    adam_lr, adam_beta1 : of both players, for the training by Adam (Radford et al., 2016).
    samples : drawn from each generator, >= 4.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    run: str = "mnist-paper"
    data: str = "mnist"
    width: int = 400
    units: int = 120
    iterations: int = 12_000
    longer: int = 2
    points: int = 12
    seeds: int = 2
    rate_left: float = 0.02
    adam_lr: float = 2e-4
    adam_beta1: float = 0.5
    samples: int = 10_000

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "width", "units", "iterations", "points", "seeds", "adam_lr")
        if self.data not in ("digits", "mnist"):
            raise ValueError(f"data is {self.data!r}; the classifier knows digits: 'digits' or 'mnist'")
        if self.iterations % self.points:
            raise ValueError(f"iterations is {self.iterations}, points {self.points}; give points that divide it")
        if self.longer < 2 or self.samples < 4:
            raise ValueError(f"longer is {self.longer}, samples {self.samples}; give at least 2 and 4")
        # Below 1e-300, in one iteration, the decay that leaves so little is beyond every float.
        if not 1e-300 <= self.rate_left < 1:
            raise ValueError(f"rate_left is {self.rate_left}; give a share from 1e-300 to 1, 1 excluded")
        base = runs.get(self.run)
        if (base.update, base.optimiser, base.preprocessing, base.flat) != ("simultaneous", "sgd", "unit", True):
            raise ValueError(f"run is {self.run!r}; the changes are to one like mnist-paper: simultaneous updates, sgd")
        if base.image_size != DATA[self.data][1]:
            raise ValueError(f"run is {self.run!r}, whose images are {base.image_size} pixels wide; give mnist-paper")
        for change in self.changes():
            self.changed(change)

    def changes(self) -> dict[str, dict[str, Any]]:
        """What each training sets that the published one does not, by name."""
        still = {name: getattr(Run, name) for name in ("momentum", "momentum_final", "momentum_epochs", "lr_decay")}
        adam = {"optimiser": "adam", "d_lr": self.adam_lr, "g_lr": self.adam_lr, "beta1": self.adam_beta1}
        alternating = {"update": "alternating"}
        return {
            PUBLISHED: {},
            ALTERNATING: alternating,
            LONGER: alternating | {"iterations": self.longer * self.iterations},
            f"{ALTERNATING}, rate falls faster": alternating | {"lr_decay": self.rate_left ** (-1 / self.iterations)},
            f"{ALTERNATING}, Adam": alternating | adam | still,
        }

    def changed(self, change: str) -> Run:
        """The run with that change."""
        own = {"data": self.data, "width": self.width, "units": self.units, "iterations": self.iterations}
        return runs.get(self.run, own | {"every": self.iterations // self.points} | self.changes()[change])


class _Kept(NamedTuple):
    """A generator on the way: its row of the curve and its weights."""

    row: tuple[float, ...]
    weights: dict[str, np.ndarray]


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train every change and seed, choose on validation images, measure once; errors as `ganlib.data.load`."""
    splits = {split: data.load(settings.data, split).flattened().to(device) for split in data.SPLITS}
    test = splits["test"].floats()
    inputs: dict[str, str] = {}
    read(ASSETS, WEIGHTS, inputs)
    net = digit_classifier().to(device)
    real = digit_features(test, net)
    found: dict[str, Any] = {change: {"set": sets, "by_seed": []} for change, sets in settings.changes().items()}
    # The longest first, so that none is waited for alone; the shorter of two that begin alike is its first part.
    names = sorted(found.keys() - {ALTERNATING}, key=lambda name: (name != LONGER, list(found).index(name)))
    seen = splits["train"]
    jobs = [(settings, name, seed, device.type, seen.sha256) for name in names for seed in range(settings.seeds)]
    for (_, change, seed, *_), kept in zip(jobs, side_by_side(_train, jobs, device), strict=True):
        run = settings.changed(change)
        parts = {change: kept} | ({ALTERNATING: kept[: settings.points]} if change == LONGER else {})
        for name, part in parts.items():
            best = max(part, key=lambda each: each.row[2])
            generator = runs.networks(run, seed, splits["train"])[0].to(device)
            generator.load_state_dict({name: torch.from_numpy(weight) for name, weight in best.weights.items()})
            evaluated = measure.measure(run, generator, splits, samples=settings.samples)
            measured, remark = evaluated["figures"], measure.remark(evaluated)
            drawn = digit_features(sample(generator, runs.latent(run), settings.samples), net)
            n_is = f"samples, against {len(test):,} test images"
            distance = frechet_distance(real, drawn)
            measured["frechet"] = figure(distance, "squared units of the features", settings.samples, n_is)
            one = {"seed": seed, "iteration": best.row[0], "curve": [list(each.row) for each in part]}
            found[name]["by_seed"].append(one | {"figures": measured})
            score = f"{measured['log_likelihood']['value']:.1f} nats on the test images"
            say(f"{name}, seed {seed}: {score}{remark and f'. {remark}'}")
    for each in found.values():
        each["across_seeds"] = {name: _across(each["by_seed"], name) for name in ("log_likelihood", "frechet")}
    figures = {"protocol": PROTOCOL, "columns": list(COLUMNS), "by_change": found}
    return Outcome(figures, list(splits.values()), inputs=inputs)


def _train(settings: Settings, change: str, seed: int, device: str, sha256: str) -> list[_Kept]:
    """A whole training, and what it was at every point; in a process of its own, see `side_by_side`."""
    run, valid = settings.changed(change), {"valid": data.load(settings.data, "valid").flattened().to(device)}
    with redirect_stdout(sys.stderr):  # which device it is on
        training, kept = Training(run, seeds=[seed], device=device), []
    check_unchanged(training, sha256)
    for (report,) in training.reports():
        generator, _ = training.networks()
        sigma, score = measure.validation_score(run, generator, valid, samples=settings.samples)
        numbers = [float(f"{number:.7g}") for number in (sigma, score, report.d_real, report.d_fake)]
        weights = {name: tensor.detach().cpu().numpy().copy() for name, tensor in generator.state_dict().items()}
        kept.append(_Kept((report.iteration, *numbers), weights))
    return kept


def _across(by_seed: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The mean of a figure over training seeds, +- the standard deviation over them."""
    values = [each["figures"][name]["value"] for each in by_seed]
    spread = stdev(values) if len(values) > 1 else None
    means = "standard deviation over training seeds" if spread is not None else "none is given: there is one seed"
    return figure(mean(values), by_seed[0]["figures"][name]["unit"], len(values), "training seeds", spread, means)
