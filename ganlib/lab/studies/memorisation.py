"""Does the pair copy its training images? The paper's pair, made narrower, trained on 50, 500 and 5,000 of them.

Figure 2 shows the nearest training example beside each sample "in order to demonstrate that the model has not memorized
the training set". Distances in pixels can expose a copy; whether they are small takes a control. Here the control is
held-out images: a generator that copies is nearer to the images it was trained on than to as many others, and a
discriminator that has learnt its images by heart trusts them more than others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ganlib import data
from ganlib.data.images import Images
from ganlib.device import double
from ganlib.lab import runs
from ganlib.lab.runs import Run
from ganlib.lab.settings import DATA
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_positive,
    check_types,
    check_unchanged,
    figure,
    picture_file,
)
from ganlib.lab.training import Training
from ganlib.metrics.neighbours import copy_threshold, nearest
from ganlib.sampling import evaluating, sample

CURVE = ("iteration", "d_train", "d_held_out", "d_fake", "v_train", "v_held_out")
PICTURES = 10


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the study.

    Parameters
    ----------
    run : whose pair and settings; one that sees flat images in [0, 1].
    sizes : different numbers of training images, the first ones, separated by commas.
    seeds : training seeds for each size, from 0.
    width, units : of the pair's layers.
    iterations : of each training.
    lr : of both players at the start; more than the published one, with which a training so short is at its start.
    points : at which the curves are measured.
    samples : drawn from each generator.
    held_out : validation images.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    run: str = "mnist-paper"
    data: str = "mnist"
    sizes: str = "50,500,5000"
    seeds: int = 2
    width: int = 400
    units: int = 120
    lr: float = 0.2
    iterations: int = 9_000
    points: int = 18
    samples: int = 1000
    held_out: int = 5000

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "seeds", "width", "units", "lr", "iterations", "points", "samples", "held_out")
        sizes = self.numbers()
        if len(set(sizes)) < len(sizes):
            raise ValueError(f"sizes is {self.sizes!r}; give different numbers")
        for size in sizes:
            run = self.run_on(size)
            # What is compared with samples are flat images in [0, 1], as the data have them.
            if run.preprocessing != "unit" or not run.flat or run.image_size != DATA[run.data][1]:
                raise ValueError(
                    f"run is {self.run!r}, whose images are {run.image_size} pixels wide, preprocessed as "
                    f"{run.preprocessing!r} and {'flat' if run.flat else 'not flat'}; give one with flat images in "
                    f"[0, 1] (unit) of the data's own size, such as mnist-paper"
                )
        if self.iterations % self.points:
            raise ValueError(f"iterations is {self.iterations}, points {self.points}; give points that divide it")

    def numbers(self) -> tuple[int, ...]:
        """The sizes, as numbers."""
        if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", self.sizes):
            raise ValueError(f"sizes is {self.sizes!r}; give numbers of images such as 50,500,5000")
        return tuple(int(each) for each in self.sizes.split(","))

    def run_on(self, examples: int) -> Run:
        """The run of one size."""
        own = {"data": self.data, "width": self.width, "units": self.units, "d_lr": self.lr, "g_lr": self.lr}
        length = {"iterations": self.iterations, "every": self.iterations // self.points}
        return runs.get(self.run, own | length | {"examples": examples})


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train every size and seed, measure D on the way and G at the end; see `ganlib.lab.studies`."""
    train, valid = (data.load(settings.data, split).to(device) for split in ("train", "valid"))
    others = valid.first(min(settings.held_out, len(valid)))
    unseen = _unit(others)
    found: dict[str, Any] = {}
    pictures: dict[str, Tensor] = {}
    for size in settings.numbers():
        run, seen = settings.run_on(size), _unit(train.first(size))
        each = []
        for seed in range(settings.seeds):
            training = Training(run, seeds=[seed], device=device)
            check_unchanged(training, train.first(size).sha256)
            curve = []
            for (report,) in training.reports():
                generator, discriminator = training.networks(seed)
                drawn = sample(generator, runs.latent(run), settings.samples, seed=seed)
                curve.append([report.iteration, *_values(discriminator, seen, unseen, drawn)])
            each.append({"seed": seed, "curve": curve, **_nearness(drawn, seen, unseen)})
            say(f"{size:,} images, seed {seed}: {each[-1]['nearer_to_training']:.1%} of the samples nearer to them")
            if seed == 0:
                index, _ = nearest(drawn[:PICTURES], seen)
                pictures[f"samples_{size}"], pictures[f"neighbours_{size}"] = drawn[:PICTURES], seen[index]
        found[str(size)] = {"by_seed": each, **_across(each, settings, min(size, len(others)))}
    return Outcome(
        {
            "protocol": f"{settings.run} with {settings.width} and {settings.units} units and learning rate "
            f"{settings.lr:g}, trained on the first images of {train.name}; held out: its first {len(others):,} "
            "validation images. D is in evaluation mode, so without dropout; V is on those images and the generator's "
            "samples. A sample is nearer to training if its nearest training image, among at most as many as there are "
            "held-out ones, is nearer in pixels than its nearest held-out image among as many",
            "columns": list(CURVE),
            "by_size": found,
        },
        [train, others],
        {"memorisation-samples.npz": picture_file(pictures)},
    )


def _values(discriminator: nn.Module, seen: Tensor, unseen: Tensor, drawn: Tensor) -> list[float]:
    """Mean D on training, held-out and generated images, and V on training and on held-out images."""
    with evaluating(discriminator):
        on_seen, on_unseen, on_drawn = (discriminator(x) for x in (seen, unseen, drawn))
    fake = logsigmoid(-on_drawn).mean()
    values = [on_seen.sigmoid().mean(), on_unseen.sigmoid().mean(), on_drawn.sigmoid().mean()]
    values += [logsigmoid(on_seen).mean() + fake, logsigmoid(on_unseen).mean() + fake]
    return [float(f"{value.item():.6g}") for value in values]


def _nearness(drawn: Tensor, seen: Tensor, unseen: Tensor) -> dict[str, float]:
    """Where the samples lie between training and held-out images, and where new images lie."""
    count = min(len(seen), len(unseen))
    (_, to_seen), (_, to_unseen) = nearest(drawn, seen[:count]), nearest(drawn, unseen[:count])
    _, new_to_seen = nearest(unseen, seen)
    _, all_seen = nearest(drawn, seen)
    close = copy_threshold(new_to_seen)
    return {
        "nearer_to_training": double(to_seen < to_unseen).mean().item(),
        "distance_to_training": all_seen.median().item(),
        "distance_of_new_images": new_to_seen.median().item(),
        "copy_threshold": close,
        "copies": double(all_seen < close).mean().item(),
    }


def _across(each: list[dict[str, Any]], settings: Settings, compared: int) -> dict[str, Any]:
    """The figures of a size: means over training seeds, +- the standard deviation over them."""
    names = {
        "nearer_to_training": "share of samples",
        "copies": "share of samples",
        "distance_to_training": "Euclidean, pixels in [0, 1]",
        "distance_of_new_images": "Euclidean, pixels in [0, 1]",
    }
    values = {name: [one[name] for one in each] for name in names}
    values |= {f"final_{name}": [one["curve"][-1][i] for one in each] for i, name in enumerate(CURVE) if i}
    spread = "standard deviation over training seeds"
    found: dict[str, Any] = {"compared": compared}
    for name, of_seeds in values.items():
        unit = names.get(name, "nats" if name.startswith("final_v") else "mean of D")
        error = stdev(of_seeds) if len(of_seeds) > 1 else None
        found[name] = figure(
            mean(of_seeds), unit, len(of_seeds), "training seeds", error, spread if error is not None else "none"
        )
    return found


def _unit(images: Images) -> Tensor:
    return images.scaled(0, 1).flattened().floats()
