"""What the +- of Table 1's right half counts: the paper's run on TFD in its two stages, on digits that stand in for it.

The Toronto Face Database (TFD) is sent on request only. Here digits enlarged to its 48 x 48 pixels stand in: they are
no faces, and their scores are not to be compared with the table's. What can be compared are the two meanings of +-. On
MNIST the table gives the standard error over test images, on TFD that across folds, with a width chosen for each fold.

As published, both stages train on the unlabelled images, which are in no fold: ``which_set: 'unlabeled'`` stands in
tfd_pretrain/pretrain.yaml and in train.yaml. So there is one generator, and a fold is no more than the images that it
is validated and tested on. The folds' training images are labelled ones, which neither stage sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganlib import data
from ganlib.errors import Diverged
from ganlib.lab import checkpoint, runs
from ganlib.lab.runs import Run
from ganlib.lab.settings import DATA
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_positive,
    check_types,
    check_unchanged,
    figure,
)
from ganlib.lab.training import Training
from ganlib.metrics import parzen
from ganlib.metrics.parzen import ParzenResult
from ganlib.sampling import sample

FOLDS = 5  # as TFD has; its file holds a column for each
# Of a fold's images, the shares to test and to validate on. Those of TFD's folds are known to us from memory only.
TEST, VALID = 1 / FOLDS, 0.1
STAGES = {1: "tfd", 2: "tfd-stage2"}
REPORTS = 10  # a stage, at which a training that diverged is found out
SHUFFLED, BY_DIGIT = "shuffled", "by digit"
OWN = "a fold's own training images"
ACROSS, OVER = "standard error of the folds' means", "standard error over test images"
PROTOCOL = (
    "digits at 48 x 48 in place of TFD's faces, narrower nets, fewer iterations: compare no score with Table 1's. Both "
    "stages train on the training images, which stand for TFD's unlabelled ones, as the published files do; a fold's "
    "own training images are seen by neither. One draw of samples, the same for all folds. Of each fold the published "
    "code's measure: sigma among its ten widths on all the fold's validation images, mean log-likelihood of its test "
    "images, pixels in [0, 1]. The folds' test images are disjoint, and a tenth of all validate, out of the others. "
    f"{SHUFFLED!r}: images are dealt to folds at random. {BY_DIGIT!r}: sorted by their labels first, so that a fold "
    "is tested on two or three digits. The +- across folds is a standard deviation of five numbers over the root of "
    "five, and by chance off by about a third. If images are dealt at random it estimates the +- over the test images "
    f"of all folds, which is that over one fold's divided by the root of {FOLDS}"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the two stages and the folds.

    Parameters
    ----------
    data : "mnist", or "digits" for a quick look.
    width, units : of the pair's layers, 8,000 and 1,200 as published.
    first, second : iterations of the stages, 50 and 22 epochs as published.
    labelled : test images that stand for TFD's labelled ones, of which there are 4,178; at least 20.
    samples : drawn from each generator, and most of the training images as kernels.
    seed : of the trainings, of the draws and of the order that images are dealt in.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    width: int = 400
    units: int = 120
    first: int = 15_000
    second: int = 6_600
    labelled: int = 4178
    samples: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_positive(self, "width", "units", "first", "second", "samples")
        check_digits(self.data)
        if self.labelled < 20:
            raise ValueError(f"labelled is {self.labelled}; give at least 20, two of them to validate a fold on")
        for stage in STAGES:
            self.run(stage)

    def run(self, stage: int, pretrained: str = "") -> Run:
        """The run of a stage, 1 or 2; ``pretrained`` is the checkpoint of stage 1."""
        iterations = {1: self.first, 2: self.second}[stage]
        own = {"data": self.data, "image_size": DATA["tfd"][1], "width": self.width, "units": self.units}
        length = {"iterations": iterations, "every": math.ceil(iterations / REPORTS)}
        return runs.get(STAGES[stage], own | length | {"pretrained": pretrained})


class Fold(NamedTuple):
    """Places of a fold's images, (n,) each; disjoint."""

    train: Tensor
    valid: Tensor
    test: Tensor


def deal(order: Tensor) -> list[Fold]:
    """Folds of images in that order (n,): each tests on the next fifth and validates on a tenth, which follows it."""
    n = len(order)
    folds = []
    for fold in range(FOLDS):
        first, end = (round(n * TEST * i) for i in (fold, fold + 1))
        rest = torch.cat([order[end:], order[:first]])
        few = round(n * VALID)
        folds.append(Fold(rest[few:], rest[:few], order[first:end]))
    return folds


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train both stages, score every fold; ``folder`` is not looked at.

    Raises
    ------
    ValueError
        If the data have too few test images.
    FileNotFoundError, ganlib.errors.DataError
        As `ganlib.data.load`.
    Diverged
        If a loss, a weight or a sample is not finite.
    """
    splits = [data.load(settings.data, split).flattened().to(device) for split in ("train", "test")]
    seen, others = (each.resized(DATA["tfd"][1]) for each in splits)
    if settings.labelled > len(others):
        raise ValueError(f"labelled is {settings.labelled}; {others.name} has {len(others)} test images")
    rng = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(others), generator=rng)[: settings.labelled]
    deals = {SHUFFLED: order, BY_DIGIT: order[others.labels.cpu()[order].argsort(stable=True)]}
    images = others.floats()
    kernels: dict[str, Tensor] = {}
    for name, run, generator in _stages(settings, device, seen.sha256, say):
        kernels[name] = sample(generator, runs.latent(run), settings.samples, seed=settings.seed)
        if not kernels[name].isfinite().all():
            raise Diverged(f"{name}: the generator's samples are not finite; it cannot be measured")
    kernels["training images"] = seen.first(min(settings.samples, len(seen))).floats()
    found: dict[str, Any] = {}
    for name, dealt in deals.items():
        folds = [Fold(*(places.to(device) for places in fold)) for fold in deal(dealt)]
        sets = {each: [points] * FOLDS for each, points in kernels.items()} | {OWN: [images[f.train] for f in folds]}
        found[name] = {each: _scored(points, folds, images) for each, points in sets.items()}
        for each, scores in found[name].items():
            across, over = scores["across_folds"], scores["by_fold"][0]["log_likelihood"]["plus_minus"]
            spread = f"+- {across['plus_minus']:.1f} across folds, {over:.1f} over the first fold's test images"
            say(f"{name}, {each}: {across['value']:.1f} nats, {spread}")
    parts = {part: [len(getattr(fold, part)) for fold in deal(order)] for part in Fold._fields}
    return Outcome({"protocol": PROTOCOL, "images_a_fold": parts, "by_deal": found}, splits)


def _stages(settings: Settings, device: torch.device, sha256: str, say: Say) -> list[tuple[str, Run, nn.Module]]:
    """Each stage's name, run and generator."""
    found: list[tuple[str, Run, nn.Module]] = []
    pretrained = ""
    with TemporaryDirectory() as folder:
        for stage in STAGES:
            run = settings.run(stage, pretrained)
            training = Training(run, seeds=[settings.seed], device=device)
            check_unchanged(training, sha256)
            for (report,) in training.reports():
                d = f"mean D {report.d_real:.3f} on images, {report.d_fake:.3f} on samples"
                say(f"stage {stage}, iteration {report.iteration:,}: {d}")
            generator = training.networks()[0]
            found.append((f"stage {stage}", run, generator))
            state = {f"generator.{name}": tensor for name, tensor in generator.state_dict().items()}
            pretrained = str(checkpoint.save(folder, training.iteration, state, runs.as_dict(run), {}))
    return found


def _scored(kernels: Sequence[Tensor], folds: Sequence[Fold], images: Tensor) -> dict[str, Any]:
    """Every fold's score by its kernels, and both meanings of +-."""
    found = [
        parzen.evaluate(points, images[fold.valid], images[fold.test])
        for points, fold in zip(kernels, folds, strict=True)
    ]
    across = stdev(each.mean for each in found) / math.sqrt(FOLDS)
    over = mean(each.standard_error for each in found)
    return {
        "by_fold": [
            {
                "sigma": each.sigma,
                "kernels": each.samples,
                "log_likelihood": figure(each.mean, "nats", each.test, "test images", each.standard_error, OVER),
            }
            for each in found
        ],
        "across_folds": figure(mean(each.mean for each in found), "nats", FOLDS, "folds", across, ACROSS),
        "all_test_images": _pooled(found),
        # 1 / sqrt(5) = .45 is to be expected where images are dealt at random.
        "across_folds_by_over_images": across / over if over else None,
    }


def _pooled(found: Sequence[ParzenResult]) -> dict[str, Any]:
    """The score of all folds' test images together, each with its fold's width."""
    n = sum(each.test for each in found)
    centre = sum(each.test * each.mean for each in found) / n
    # The mean square of an image's score about its fold's mean is n se^2.
    squares = sum(each.test * (each.test * each.standard_error**2 + (each.mean - centre) ** 2) for each in found) / n
    return figure(centre, "nats", n, "test images of all folds", math.sqrt(squares / n), OVER)
