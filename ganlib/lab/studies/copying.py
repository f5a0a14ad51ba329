"""Do samples come nearer to training images than new images do? Block by block, for generators and new images alike.

A generator that copies is nearer to its training images than to as many held-out ones. Nearer than what? Parts of one
data set differ by more than the chance of drawing them, so one block of new images is no control; many are. One set of
reference images is no control either: training images stand against test images and against validation images, all of
them, with as many images of each class in every set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlib import data
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_file_names,
    check_positive,
    check_types,
    figure,
    listed,
)
from ganlib.lab.studies.image_sets import generators

HELD_OUT = {"test images": -1, "validation images": -2}  # the places of these sets, after those of training images
OTHERS, VALIDATION = "training images outside those compared with", "validation images"
PROTOCOL = (
    "the share of a block's images that are nearer, in pixels, to one of the first training images than to any of as "
    "many test images, ties counted half; means and standard deviations are over blocks. Of the new images none was "
    "compared with itself"
)
LEAN = (
    "the share of images that are nearer, in pixels, to one set of training images than to a set of held-out "
    "images, the mean over all sets of training images, ties counted half; every set is the first images of each "
    "class, as many of a class in all of them. The excess is over the same share of images that are neither: "
    "validation images where test images are held out, and the other way round. What sets of real images differ by "
    "is the standard deviation of that excess with each set of training images in turn for the one held out, and "
    "test images for the new ones"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of what is compared.

    Parameters
    ----------
    data : "mnist", or "digits" for a quick look.
    weights : generators by ``reproduce``, file names in the folder without ".safetensors", separated by commas.
    images : the first training images, and as many test images, that all others are compared with.
    samples : drawn from each generator.
    block : images a block; at least two blocks of samples.
    seed : of the draw.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    weights: str = "mnist-paper-seed0,mnist-paper-seed1,mnist-paper-averaged-seed0,mnist-paper-averaged-seed1"
    images: int = 10_000
    samples: int = 10_000
    block: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "images", "samples", "block")
        check_file_names(self.weights, "")
        check_digits(self.data)
        if self.samples < 2 * self.block:
            raise ValueError(f"samples is {self.samples}; a spread over blocks of {self.block} needs two of them")


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Compare every generator's samples and the new images.

    Raises
    ------
    ValueError
        If the data are too few for the settings, of training images for two sets, or a generator is of other data.
    FileNotFoundError, CheckpointError, Diverged
        As `ganlib.lab.studies.image_sets.generators`.
    """
    inputs: dict[str, str] = {}
    splits = [data.load(settings.data, split).flattened().to(device) for split in data.SPLITS]
    train, valid, test = splits
    at, two = settings.images, 2 * settings.block
    for needed, images in ((at + max(at, two), train), (two, valid), (at, test)):
        if needed > len(images):
            raise ValueError(
                f"images is {at} and block {settings.block}: that takes {needed} images of the {images.split} split of "
                f"{images.name}, which has {len(images)}"
            )
    names, seeds = listed(settings.weights), [settings.seed]
    drawing = generators(settings.data, names, "", settings.samples, seeds, folder, device, inputs)
    training, others = train.floats().tensor_split([at])
    held_out = test.first(at).floats()

    def look(name: str, images: Tensor) -> dict[str, Any]:
        found = nearer_by_block(images, settings.block, training, held_out)
        say(f"{name}: {found['value']:.1%} +- {found['plus_minus']:.1%} nearer to training images")
        return found

    new = {OTHERS: look(OTHERS, others), VALIDATION: look(VALIDATION, valid.floats())}
    places = [(train, slice(start, start + at)) for start in range(0, len(train) - at + 1, at)]
    places += [(valid, slice(at)), (test, slice(at))]
    matched = class_matched([(split.floats(i), split.labels[i]) for split, i in places])
    neither = {"test images": valid, "validation images": test}  # what is neither of training nor held out
    of_new = {name: _distances(images.floats(), matched) for name, images in neither.items()}
    sets: dict[str, Any] = {}
    for each in drawing:
        found = look(each.name, each.draws[0])
        leaning = lean(_distances(each.draws[0], matched), of_new)
        sets[each.name] = {"what": each.what, "nearer_to_training": found, "lean": leaning}
        for name in HELD_OUT:
            excess = leaning[name]
            say(f"{each.name}, against {name}: {excess['value']:+.1%} +- {excess['plus_minus']:.1%}")
    shares = {name: _shares(of_new[name], place).mean().item() for name, place in HELD_OUT.items()}
    reference = {"sets of training images": len(matched) - 2, "images a set": len(matched[0])}
    leans = {"protocol": LEAN, **reference, "share of new images": shares}
    return Outcome({"protocol": PROTOCOL, "new images": new, "sets": sets, "lean": leans}, splits, inputs=inputs)


def class_matched(sets: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The first images of each class in every set, as many of a class as the set with the fewest has.

    Parameters
    ----------
    sets : of images (n, d) and their labels (n,), n of its own for each.

    Returns
    -------
    list of Tensor
        (m, d) each, the same m, with the same number of each class.
    """
    classes = max(int(labels.max()) for _, labels in sets) + 1
    counts = torch.stack([labels.bincount(minlength=classes) for _, labels in sets]).min(0).values.tolist()
    return [torch.cat([images[labels == c][:count] for c, count in enumerate(counts)]) for images, labels in sets]


def lean(distances: Tensor, of_new: Mapping[str, Tensor]) -> dict[str, Any]:
    """How much more often samples are nearer to training than to held-out images than new images are.

    Parameters
    ----------
    distances : (t + 2, n), of each sample to the nearest image of t >= 2 sets of training images, of the validation
        and of the test images.
    of_new : (t + 2, k) each, the same of the new images, by what is held out: "test images", "validation images".

    Returns
    -------
    dict
        A figure by what is held out, and one of what sets of real images differ by.
    """
    found = {}
    for name, place in HELD_OUT.items():
        shares, new = _shares(distances, place), _shares(of_new[name], place)
        error = math.hypot(*(each.std().item() / math.sqrt(len(each)) for each in (shares, new)))
        n_is = f"samples, against {len(new):,} new images"
        value = (shares.mean() - new.mean()).item()
        found[name] = figure(value, "share", len(shares), n_is, error, "standard error over samples and new images")
    new = of_new["validation images"]
    turns = [
        (_shares(distances, place).mean() - _shares(new, place).mean()).item() for place in range(len(distances) - 2)
    ]
    spread, n_is = float(np.std(turns, ddof=1)), "sets of training images, each held out in turn"
    return found | {"sets of real images": figure(spread, "share", len(turns), n_is, None, "none is given")}


def _shares(distances: Tensor, held_out: int) -> Tensor:
    """Of each image, the share of the training sets of which one is nearer than all of the set held out; ties half."""
    training = [place for place in range(len(distances) - 2) if place != held_out]
    return _nearer(distances[training], distances[held_out]).mean(0)


def _nearer(near: Tensor, far: Tensor) -> Tensor:
    return (near < far).double() + (near == far).double() / 2


def _distances(images: Tensor, sets: Sequence[Tensor]) -> Tensor:
    """(sets, images): squared distances to the nearest, by products: 1e-5 off, which no comparison here sees."""
    found = []
    for each in sets:
        norms = each.square().sum(1)
        found.append(
            torch.cat([(norms - 2 * part @ each.T).min(1).values + part.square().sum(1) for part in images.split(2000)])
        )
    return torch.stack(found)


def nearer_by_block(images: Tensor, block: int, training: Tensor, held_out: Tensor) -> dict[str, Any]:
    """Share of images nearer to training than to held-out images: the mean over blocks, +- their standard deviation.

    Parameters
    ----------
    images : (n, d), two blocks or more; what is left over at the end is left out.
    training, held_out : (t, d), the same t.

    Returns
    -------
    dict
        A figure, and under "blocks" each block's share.

    Raises
    ------
    ValueError
        If training and held-out images are not equally many, or there are fewer than two blocks.
    """
    count = len(images) // block
    if len(training) != len(held_out) or count < 2:
        raise ValueError(
            f"{len(training)} training images, {len(held_out)} held out and {count} blocks; give equal numbers, and at "
            "least two blocks"
        )
    near, far = _distances(images[: count * block], [training, held_out])
    shares = [part.mean().item() for part in _nearer(near, far).split(block)]
    n_is = f"blocks of {block:,} images, against {len(training):,} images of each kind"
    spread = float(np.std(shares, ddof=1))
    found = figure(float(np.mean(shares)), "share", count, n_is, spread, "standard deviation over blocks")
    return found | {"blocks": shares}
