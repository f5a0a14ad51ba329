"""One set of digits under all measures at once, as the studies on Table 1 look at every generator and every chain."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganlib.data.images import Images
from ganlib.errors import Diverged
from ganlib.lab import runs
from ganlib.lab.measure import VALIDATION_IMAGES
from ganlib.lab.speed import onednn
from ganlib.lab.studies import measures
from ganlib.lab.studies.common import figure
from ganlib.lab.training import Training
from ganlib.metrics import parzen
from ganlib.metrics.features import digit_classifier, digit_features
from ganlib.sampling import sample

# Ten times as many widths as the paper's in the range where one is ever chosen; the paper's own are among them.
FINE = tuple(torch.logspace(-1, -1 / 3, 61, dtype=torch.float64).tolist())
NEIGHBOURS = 3
CRITICS_SEE, TURNS, STEPS = 2000, 3, 100
NEAREST_AMONG = 10_000
SAID = (
    f"The Parzen score by the paper's protocol (ten widths; the best on the first {VALIDATION_IMAGES:,} validation "
    f"images; the mean over the test images), and by the same with {len(FINE)} widths from .1 to .464: 'fine'. Frechet "
    f"and kernel distance, precision and recall (k = {NEIGHBOURS}) are between a digit classifier's features of the "
    "images and of the test images"
)


class Judge:
    """Looks at flat images in [0, 1] beside the validation and the test images.

    Parameters
    ----------
    valid, test : flat images, on one device.
    """

    def __init__(self, valid: Images, test: Images) -> None:
        self.valid = valid.first(min(VALIDATION_IMAGES, len(valid))).floats()
        self.test = test.floats()
        self.net = digit_classifier().to(self.test.device)
        self.real = self.features(self.test)

    def features(self, images: Tensor) -> Tensor:
        """The classifier's features of flat images (n, 784) in [0, 1]."""
        return digit_features(images, self.net)

    def drawn(self, training: Training, n: int) -> Tensor:
        """n samples of a training's generator, (n, 784), always from the same noise; Diverged if one is not finite."""
        images = sample(training.networks()[0], runs.latent(training.run), n)
        if not images.isfinite().all():
            raise Diverged(f"{training.run.name}: the generator's samples are not finite; it cannot be measured")
        return images

    def score(self, images: Tensor) -> tuple[float, float]:
        """The best of the paper's widths for kernels (n, 784), and the validation images' score under it, in nats."""
        with onednn.products():
            scores = parzen.log_likelihoods(images, self.valid, parzen.PAPER_SIGMAS).mean(1).tolist()
        best = scores.index(max(scores))
        return parzen.PAPER_SIGMAS[best], scores[best]

    def figures(self, images: Tensor) -> dict[str, Any]:
        """What `SAID` lists, of images (n, 784) in [0, 1], by name."""
        with onednn.products():
            found = {
                "": parzen.evaluate(images, self.valid, self.test),
                "_fine": parzen.evaluate(images, self.valid, self.test, FINE),
            }
        out = {}
        for name, result in found.items():
            error = "standard error over test images"
            out[f"log_likelihood{name}"] = figure(
                result.mean, "nats", result.test, "test images", result.standard_error, error
            )
            out[f"sigma{name}"] = figure(
                result.sigma, "pixels in [0, 1]", result.valid, "validation images it was chosen on"
            ) | {"at_an_end": result.sigma in (min(result.sigmas), max(result.sigmas))}
        drawn = self.features(images)
        out |= {"frechet": measures.frechet(self.real, [drawn]), "kernel": measures.kernel(self.real, [drawn])}
        return out | measures.coverage(self.real, [drawn], NEIGHBOURS)

    def told_apart(self, images: Tensor) -> dict[str, Any]:
        """Accuracy of fresh critics of pixels, which tell the images (n, 784) from as many test images."""
        n = min(CRITICS_SEE, len(images), len(self.test))
        levels = measures.grey_levels(images)
        turns = []
        for turn in range(TURNS):
            rng = torch.Generator().manual_seed(turn)
            real, fake = (
                each[torch.randperm(len(each), generator=rng)[:n].to(each.device)] for each in (self.test, levels)
            )
            turns.append((real, fake, measures.pixel_critic(turn, images.device)))
        return measures.two_samples(turns, STEPS)

    def nearest(self, images: Tensor, training: Tensor) -> dict[str, Any]:
        """`measures.neighbours` of the first images (n, 784), in pixels, among the first training and test images."""
        n = min(NEAREST_AMONG, len(training), len(self.test))
        return measures.neighbours(images[:CRITICS_SEE], training[:n], self.test[:n], measures.PIXELS)
