"""Generators, memorised images and averages seen by other measures than Parzen windows.

Every set of images is held against the same test images. Real images stand among the sets: what a measure says of them
is its floor, and a measure that finds fault with them, or none with the memoriser, is known for what it cannot see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlib import data
from ganlib.data.images import Images
from ganlib.lab.studies import measures
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_file_names,
    check_positive,
    check_types,
    figure,
    listed,
    picture_file,
    read,
)
from ganlib.lab.studies.image_sets import ImageSet, baselines, generators
from ganlib.metrics.birthday import calibrate_threshold
from ganlib.metrics.classifier import SIDE
from ganlib.metrics.features import ASSETS, LAYER, WEIGHTS, digit_classes, digit_classifier, digit_features
from ganlib.metrics.frechet import real_floor
from ganlib.metrics.neighbours import copy_threshold, nearest

REAL_SHARE = 0.05  # of batches of real images that hold a "duplicate"
COPY_SHARE = 0.01  # of new images that are nearer to a training image than a sample that counts as a copy
SPLITS = 10  # of the test images into halves
PAIRS = 8  # closest ones of each set that are kept as pictures
PROTOCOL = {
    "reference": "the test images, which no training has seen",
    "features": f"{LAYER}. It was trained on the training images, so their features are a little unlike new images'",
    "frechet": "compare at equal n only; it falls as n grows. Its floor: the validation images, and halves of the test "
    "set; the scale is that of the features, so it is no FID",
    "precision_recall": "balls of the k-th nearest neighbour (Kynkaanniemi et al., 2019); real images reach the "
    "validation images' values, not 1",
    "two_samples": "fresh critics, trained on half of the images, tested on the other; pixels rounded to 256 levels, "
    f"features divided by the test images' standard deviations. {measures.ALARM}. The reference's are test images "
    "against other test images; the rest of MNIST is by other writers, and a critic may find that too",
    "neighbours": "training images as many as test images. What new images get: the shares of validation images, and "
    "of training images that are not among those compared with. Errors take samples for independent: those of a "
    "collapsed generator are one image, and its share says nothing",
    "copies": "samples, in pixels, nearer to one of all training images than all but the share "
    f"{COPY_SHARE} of as many test images",
    "birthday": f"threshold in pixels such that {REAL_SHARE} of batches of test images hold a pair within it. "
    "Training images and centres are drawn with replacement, as by a generator. Blurred images lie closer together. "
    "The classifier names the duplicates",
    "classes": "by the same classifier, which gives every image some digit",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of what is looked at, and how closely.

    Parameters
    ----------
    data : "mnist", or "digits" for a quick look.
    weights : generators by ``reproduce``, file names in the folder without ".safetensors", separated by commas; may be
        empty.
    vae : a decoder's file, with its ending, or empty.
    samples : images a draw.
    draws : of every generator and of the training images, for the +-.
    k : of precision and recall.
    kmeans_rounds : of Lloyd's algorithm.
    sizes : n of the smaller Frechet distances, separated by commas.
    neighbour_samples, neighbour_images : samples of the first draw, and images of each kind they are compared with.
    two_sample_images, two_sample_steps : images of each kind that a critic gets half of, and its training.
    birthday_batch : images a batch.
    seed : of every draw; the i-th draw has seed + i.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    weights: str = "mnist-paper-seed0,mnist-paper-seed1,mnist-paper-averaged-seed0,mnist-paper-averaged-seed1"
    vae: str = "vae.safetensors"
    samples: int = 10_000
    draws: int = 3
    k: int = 3
    kmeans_rounds: int = 8
    sizes: str = "500,2000,10000"
    neighbour_samples: int = 2000
    neighbour_images: int = 10_000
    two_sample_images: int = 2000
    two_sample_steps: int = 100
    birthday_batch: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_digits(self.data)
        check_file_names(self.weights, self.vae, empty=True)
        numbers = [name for name in self.__annotations__ if name not in ("data", "weights", "vae", "sizes", "seed")]
        check_positive(self, *numbers)
        if not re.fullmatch(r"\d+(,\d+)*", self.sizes) or not 2 <= min(self.ns) <= max(self.ns) <= self.samples:
            raise ValueError(
                f"sizes is {self.sizes!r}; give numbers from 2 to samples = {self.samples}, as in '500,2000'"
            )
        lows = {"samples": self.k + 1, "two_sample_images": 4, "birthday_batch": 2, "neighbour_samples": 1}
        for name, low in lows.items():
            if not low <= getattr(self, name) <= self.samples:
                raise ValueError(f"{name} is {getattr(self, name)}; need {low} to samples = {self.samples}")

    @property
    def names(self) -> list[str]:
        """The generators' names."""
        return listed(self.weights)

    @property
    def ns(self) -> list[int]:
        """The sizes as numbers."""
        return [int(n) for n in self.sizes.split(",")]


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Look at every set; files of pictures: the closest pairs of each, uint8 (pairs, 2, 28, 28).

    Raises
    ------
    ValueError
        If the data are too few for the settings, or a generator is of other data.
    FileNotFoundError, CheckpointError
        If the data or a generator are missing or damaged.
    Diverged
        If a sample is not finite.
    """
    splits = [data.load(settings.data, split).flattened().to(device) for split in data.SPLITS]
    train, valid, test = splits
    _check(settings, train, valid, test)
    inputs: dict[str, str] = {}
    seeds = range(settings.seed, settings.seed + settings.draws)
    read(ASSETS, WEIGHTS, inputs)
    sets = generators(settings.data, settings.names, settings.vae, settings.samples, seeds, folder, device, inputs)
    at = settings.neighbour_images
    training, others = train.first(at + settings.neighbour_samples).floats().tensor_split([at])
    eyes = _Eyes(settings, train.floats(), training, others, test.floats())
    found: dict[str, Any] = {}
    pictures: dict[str, Tensor] = {}
    for each in chain(sets, baselines(train, valid, settings.samples, seeds, settings.kmeans_rounds)):
        say(f"looking at {each.name}: {each.what}")
        found[each.name], pairs = eyes.look(each)
        pictures[each.name] = pairs.reshape(-1, 2, SIDE, SIDE)
        say(f"  Frechet distance {found[each.name]['frechet']['value']:.3f}")
    figures = {"protocol": PROTOCOL, "reference": eyes.floors(test.labels), "sets": found}
    return Outcome(figures, splits, {"eyes-pairs.npz": picture_file(pictures)}, inputs)


def _check(settings: Settings, train: Images, valid: Images, test: Images) -> None:
    needed = {
        "draws * samples": (settings.draws * settings.samples, train),
        "samples": (settings.samples, valid),
        "neighbour_images + neighbour_samples": (settings.neighbour_images + settings.neighbour_samples, train),
        "neighbour_images": (settings.neighbour_images, test),
        "2 * neighbour_samples": (2 * settings.neighbour_samples, test),
        "2 * two_sample_images": (2 * settings.two_sample_images, test),
        "2 * birthday_batch": (2 * settings.birthday_batch, test),
        "k + 1": (settings.k + 1, test),
    }
    for name, (n, images) in needed.items():
        if n > len(images):
            raise ValueError(f"{name} is {n}; {images.name} has {len(images)} images in its {images.split} split")


class _Eyes:
    """Everything a set is held against, worked out once."""

    def __init__(self, settings: Settings, seen: Tensor, training: Tensor, others: Tensor, test: Tensor) -> None:
        self.settings, self.seen, self.training, self.others, self.test = settings, seen, training, others, test
        self.net = digit_classifier().to(test.device)
        self.features, self.training_features = self._features(test), self._features(training)
        std = self.features.std(0)
        self.scale = torch.where(std > 0, std, 1.0)  # a unit that no test image wakes is left as it is
        self.threshold = calibrate_threshold(test, settings.birthday_batch, REAL_SHARE, seed=settings.seed)
        self.new, self.control = test.split(settings.neighbour_samples)[:2]
        self.copy_threshold = copy_threshold(nearest(self.new, seen)[1], COPY_SHARE)

    def look(self, images: ImageSet) -> tuple[dict[str, Any], Tensor]:
        """All measures of one set, and its closest pairs (PAIRS, 2, 784)."""
        ask, draws = self.settings, images.draws
        seen = [self._features(drawn) for drawn in draws]
        together = torch.cat(draws)
        if images.finite:
            rng = torch.Generator().manual_seed(ask.seed)
            together = draws[0][
                torch.randint(len(draws[0]), (ask.draws * ask.samples,), generator=rng).to(draws[0].device)
            ]
        born, pairs = measures.birthday(
            together, ask.birthday_batch, self.threshold, PAIRS, lambda drawn: digit_classes(drawn, self.net)
        )
        first = draws[0][: ask.neighbour_samples]
        return {
            "is": images.what,
            "frechet": measures.frechet(self.features, seen),
            "frechet_by_n": measures.frechet_by_n(self.features, seen[0], ask.ns, ask.seed),
            **measures.coverage(self.features, seen, ask.k),
            "two_samples": self._two_samples(draws, seen),
            "neighbours": self._neighbours(first),
            "copies": measures.copies(first, self.seen, self.copy_threshold, len(self.new), measures.PIXELS),
            "birthday": born,
            "classes": measures.classes([digit_classes(drawn, self.net) for drawn in draws]),
        }, pairs

    def floors(self, labels: Tensor) -> dict[str, Any]:
        """What the test images say about themselves."""
        n, batches = len(self.test), f"test images, in batches of {self.settings.birthday_batch}"
        floor = real_floor(self.features, n // 2, splits=SPLITS, seed=self.settings.seed)
        spread = f"standard deviation over {SPLITS} random splits of the test images"
        return {
            "frechet_of_halves": figure(floor.mean, measures.SQUARED, n // 2, "images a half", floor.std, spread),
            "feature_variance": figure(self.features.var(0).sum().item(), measures.SQUARED, n, "test images"),
            "two_samples": self._two_samples(None, None),
            "neighbours_of_other_training_images": self._neighbours(self.others),
            "copies": measures.copies(self.control, self.seen, self.copy_threshold, len(self.new), measures.PIXELS),
            "birthday_threshold": figure(self.threshold, measures.PIXELS, n, batches),
            "classes": measures.classes([digit_classes(self.test, self.net)]),
            "labels": measures.classes([labels]) | {"shares_of": "the digits 0 to 9, as labelled"},
        }

    def _features(self, images: Tensor) -> Tensor:
        return digit_features(images, self.net)

    def _neighbours(self, images: Tensor) -> dict[str, Any]:
        n, seen = self.settings.neighbour_images, self._features(images)
        units = "Euclidean, units of the features"
        return {
            "pixels": measures.neighbours(images, self.training, self.test[:n], measures.PIXELS),
            "features": measures.neighbours(seen, self.training_features, self.features[:n], units),
        }

    def _two_samples(self, draws: list[Tensor] | None, seen: list[Tensor] | None) -> dict[str, Any]:
        """Against test images; other test images where no set is given."""
        n, device, ask = self.settings.two_sample_images, self.test.device, self.settings

        def order(turn: int, length: int, stream: int) -> Tensor:
            rng = torch.Generator().manual_seed(2 * (ask.seed + turn) + stream)
            return torch.randperm(length, generator=rng).to(device)

        def sides(test: Tensor, sets: list[Tensor] | None, turn: int) -> tuple[Tensor, Tensor]:
            real = test[order(turn, len(test), 0)[: 2 * n]]
            if sets is None:
                return real[:n], real[n:]
            fake = sets[turn % len(sets)]
            return real[:n], fake[order(turn, len(fake), 1)[:n]]

        grey = None if draws is None else [measures.grey_levels(drawn) for drawn in draws[: ask.draws]]
        scaled = None if seen is None else [each / self.scale for each in seen]
        test, width = self.features / self.scale, self.features.shape[1]
        turns = range(ask.draws)
        return {
            "pixels": measures.two_samples(
                [(*sides(self.test, grey, t), measures.pixel_critic(t, device)) for t in turns], ask.two_sample_steps
            ),
            "features": measures.two_samples(
                [(*sides(test, scaled, t), measures.feature_critic(width, t, device)) for t in turns],
                ask.two_sample_steps,
            ),
        }
