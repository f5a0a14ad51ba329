"""The digit classifier whose last hidden layer gives `ganlib.metrics.features`: trained on MNIST's training images.

The length is fixed beforehand and nothing is chosen on test images. What is measured are the weights of
"digit-classifier.safetensors", in the half precision in which they are committed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ganlib import data
from ganlib.data.images import Images
from ganlib.device import double
from ganlib.errors import Diverged
from ganlib.lab.studies.common import Outcome, Say, check_positive, check_types, figure
from ganlib.metrics import features
from ganlib.metrics.classifier import SIDE, DigitClassifier
from ganlib.nets import count_parameters


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the classifier and its training.

    Parameters
    ----------
    data : of `ganlib.data.load`, one of digits.
    width, hidden : of `ganlib.metrics.classifier.DigitClassifier`.
    epochs, batch, lr : of Adam, whose learning rate falls from ``lr`` to 0 along a cosine.
    shift : training images are shifted by up to so many pixels each way, at random, >= 0.
    seed : of the initial weights, the order of the images and the shifts.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    width: int = 32
    hidden: int = 64
    epochs: int = 8
    batch: int = 100
    lr: float = 0.002
    shift: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        if self.data not in ("digits", "mnist"):
            raise ValueError(f"data is {self.data!r}; the classifier is for digits: 'digits' or 'mnist'")
        check_positive(self, "width", "hidden", "epochs", "batch", "lr")
        if not math.isfinite(self.lr):
            raise ValueError(f"lr is {self.lr}; a learning rate is finite")
        if not 0 <= self.shift < SIDE:
            raise ValueError(f"shift is {self.shift}; images of {SIDE} pixels are shifted by 0 to {SIDE - 1}")


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train and measure; ``folder`` is not read.

    The same settings give the same weights on one machine, for any number of threads: one is used.

    Raises
    ------
    FileNotFoundError
        As `ganlib.data.load`.
    Diverged
        If a weight stops being finite, or leaves half precision's range.
    """
    train, valid, test = (data.load(settings.data, split).to(device) for split in data.SPLITS)
    with _reproducible():
        net = DigitClassifier(settings.width, settings.hidden, seed=settings.seed).to(device)
        curve = []
        for epoch, loss in enumerate(_train(net, train, settings), 1):
            curve.append({"epoch": epoch, "cross_entropy": loss, "validation_accuracy": accuracy(net, valid)})
            say(f"epoch {epoch}: cross-entropy {loss:.4f}, validation accuracy {curve[-1]['validation_accuracy']:.4f}")
        if not all(weight.half().isfinite().all() for weight in net.parameters()):
            raise Diverged("a weight of the classifier lies beyond half precision's range; lower the learning rate")
        weights = features.classifier_file(net)
        committed = features.classifier_from(weights).to(device)
        figures: dict[str, Any] = {
            "validation_accuracy": _accuracy(committed, valid, "validation images"),
            "test_accuracy": _accuracy(committed, test, "test images"),
            "features": {"layer": features.LAYER, "count": settings.hidden, "parameters": count_parameters(net)},
            "training_images": len(train),
            "protocol": "the number of epochs was set beforehand; neither validation nor test images chose anything",
            "curve": curve,
        }
    say(f"test accuracy {figures['test_accuracy']['value']:.4f}")
    return Outcome(figures, [train, valid, test], {features.WEIGHTS: weights})


def accuracy(net: DigitClassifier, images: Images, batch: int = 1000) -> float:
    """Share of images that the classifier gives their label."""
    seen = features.digit_classes(images.scaled(0, 1).floats(), net, batch=batch)
    return double(seen == images.labels).mean().item()


def shifted(images: Tensor, reach: int, rng: torch.Generator) -> Tensor:
    """Images (m, 1, H, W), each moved by its own whole numbers of pixels from -reach to reach; what enters is 0."""
    if reach == 0:
        return images
    m, _, height, width = images.shape
    padded = functional.pad(images, [reach] * 4)
    move = torch.randint(2 * reach + 1, (2, m, 1), generator=rng, device=images.device)
    rows = move[0] + torch.arange(height, device=images.device)
    columns = move[1] + torch.arange(width, device=images.device)
    which = torch.arange(m, device=images.device)[:, None, None]
    return padded[which, 0, rows[:, :, None], columns[:, None, :]][:, None]


def _train(net: DigitClassifier, train: Images, settings: Settings) -> Iterator[float]:
    """One epoch after another, each image once an epoch; yields its mean cross-entropy in nats."""
    device = train.pixels.device
    rng = torch.Generator(device).manual_seed(settings.seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.lr)
    steps = settings.epochs * -(-len(train) // settings.batch)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(1, settings.epochs + 1):
        total = torch.zeros((), device=device)
        for index in torch.randperm(len(train), generator=rng, device=device).split(settings.batch):
            images = shifted(train.floats(index), settings.shift, rng)
            loss = functional.cross_entropy(net(images), train.labels[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            total += loss.detach() * len(index)
        if not total.isfinite():
            raise Diverged(f"the classifier's loss stopped being finite in epoch {epoch}: lower the learning rate")
        yield total.item() / len(train)


def _accuracy(net: DigitClassifier, images: Images, n_is: str) -> dict[str, Any]:
    share, n = accuracy(net, images), len(images)
    error = math.sqrt(share * (1 - share) / n)
    return figure(share, "share classified rightly", n, n_is, error, "standard error over images, one training seed")


@contextmanager
def _reproducible() -> Iterator[None]:
    """One thread and no search for the fastest kernel: sums are then taken in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            yield
    finally:
        torch.set_num_threads(threads)
