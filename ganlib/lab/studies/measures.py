"""What the study "eyes" and others ask of a set of images, each answer a table of figures fit for JSON.

A set is a list of draws, (n, 784) each in [0, 1], n the same for all; its features are those of `metrics.features`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganlib.device import double
from ganlib.lab.studies.common import figure
from ganlib.metrics.birthday import birthday_test, wilson_interval
from ganlib.metrics.classifier import CLASSES, SIDE
from ganlib.metrics.coverage import precision_recall
from ganlib.metrics.frechet import frechet_distance
from ganlib.metrics.kid import kernel_distance
from ganlib.metrics.neighbours import nearest
from ganlib.metrics.two_sample import classifier_test
from ganlib.nets import MLP

SUBSETS = 5
WILSON = "half of its 95 % Wilson interval"
PIXELS = "Euclidean, pixels in [0, 1]"
SQUARED = "squared units of the features"
KERNEL = "squared maximum mean discrepancy under (x.y / d + 1)^3 of d features"
ALARM = "a set of the same law is told apart with probability .05 in each of them"


def over_draws(values: Sequence[float], unit: str, n: int, n_is: str) -> dict[str, Any]:
    """The mean over draws as a figure, its +- their standard deviation: what another draw of the same set may give."""
    mean, several = float(np.mean(values)), len(values) > 1
    spread = float(np.std(values, ddof=1)) if several else None
    means = f"standard deviation over {len(values)} draws" if several else "none is given: there is one draw"
    return figure(mean, unit, n, n_is, spread, means) | {"draws": list(values)}


def frechet(reference: Tensor, draws: Sequence[Tensor]) -> dict[str, Any]:
    """Frechet distance of each draw's features (n, d) to those of the reference (r, d)."""
    values = [frechet_distance(reference, drawn) for drawn in draws]
    n_is = f"images a draw, against {len(reference):,} test images"
    return over_draws(values, SQUARED, len(draws[0]), n_is)


def kernel(reference: Tensor, draws: Sequence[Tensor]) -> dict[str, Any]:
    """`ganlib.metrics.kid.kernel_distance` of each draw's features (n, d) to those of the reference (r, d).

    Unlike the +-, "standard_errors", one a draw, are over other draws of the reference too.
    """
    found = [kernel_distance(reference, drawn) for drawn in draws]
    n_is = f"images a draw, against {len(reference):,} test images"
    return over_draws([each.value for each in found], KERNEL, len(draws[0]), n_is) | {
        "standard_errors": [each.standard_error for each in found],
        "standard_errors_are": "of each draw's value, over other draws of both sets, by the variance of a U-statistic",
    }


def frechet_by_n(reference: Tensor, drawn: Tensor, sizes: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """Frechet distance of random parts of one draw's features: the same images, fewer of them.

    Parts of n images overlap where n is large, so that their standard deviation is then too small; all of them have
    none.
    """
    rng = torch.Generator().manual_seed(seed)
    found = []
    for n in sizes:
        turns = SUBSETS if n < len(drawn) else 1
        parts = [drawn[torch.randperm(len(drawn), generator=rng)[:n].to(drawn.device)] for _ in range(turns)]
        found.append(frechet(reference, parts))
        if turns > 1:
            found[-1]["plus_minus_is"] = f"standard deviation over {turns} random parts of {len(drawn):,} images"
    return found


def coverage(reference: Tensor, draws: Sequence[Tensor], k: int) -> dict[str, Any]:
    """Precision and recall of each draw's features against those of the reference."""
    found = [precision_recall(reference, drawn, k) for drawn in draws]
    n_is = f"images a draw, against {len(reference):,} test images (k = {k})"
    return {
        "precision": over_draws([each.precision for each in found], "share", len(draws[0]), n_is),
        "recall": over_draws([each.recall for each in found], "share", len(draws[0]), n_is),
    }


def two_samples(turns: Sequence[tuple[Tensor, Tensor, nn.Module]], steps: int) -> dict[str, Any]:
    """Accuracy of fresh critics on images held out from them; a turn is (real, fake, untrained critic)."""
    tests = [
        classifier_test(critic, real, fake, steps=steps, lr=1e-3, seed=turn)
        for turn, (real, fake, critic) in enumerate(turns)
    ]
    n = tests[0].n
    found = over_draws([each.accuracy for each in tests], "share", n, "held-out images of both kinds, a turn")
    if len(tests) > 1:
        found["plus_minus_is"] = f"standard deviation over {len(tests)} turns: other images, halves and critics"
    return found | {
        "bound_95": tests[0].bound,
        "bound_is": f"accuracy that one turn exceeds with probability .05 if both kinds have one law, n = {n:,}",
        "told_apart": [each.distinguishable for each in tests],
    }


def pixel_critic(seed: int, device: torch.device) -> nn.Module:
    """Two strided convolutions and a logit, for images (m, 784)."""
    return _seeded(
        seed,
        device,
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, SIDE, SIDE)),
            nn.Conv2d(1, 16, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(32 * (SIDE // 4) ** 2, 1),
            nn.Flatten(0),
        ),
    )


def feature_critic(width: int, seed: int, device: torch.device) -> nn.Module:
    """One hidden layer of 64 units, for features (m, width)."""
    return _seeded(seed, device, lambda: MLP((width, 64, 1), "leaky_relu"))


def _seeded(seed: int, device: torch.device, build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build().to(device)


def grey_levels(images: Tensor) -> Tensor:
    """Images rounded to 256 levels, as real ones are: a critic must not tell them apart by that."""
    return (images * 255).round() / 255


def neighbours(samples: Tensor, training: Tensor, held_out: Tensor, unit: str) -> dict[str, Any]:
    """Distance of samples to the nearest of the training images and of as many held-out ones.

    Returns
    -------
    dict
        "training" and "held_out" (medians), and "nearer_to_training": the share of samples nearer to a training image
        than to any held-out one, ties counted half.
    """
    if len(training) != len(held_out):
        raise ValueError(f"{len(training)} training images and {len(held_out)} held out; the shares need equal numbers")
    to_training, to_held_out = nearest(samples, training)[1], nearest(samples, held_out)[1]
    n, n_is = len(samples), f"samples, against {len(training):,} images"
    share = (double(to_training < to_held_out) + 0.5 * double(to_training == to_held_out)).mean().item()
    low, high = wilson_interval(round(share * n), n)
    return {
        "training": _median(to_training, unit, f"{n_is} that were trained on"),
        "held_out": _median(to_held_out, unit, f"{n_is} of the test set"),
        "nearer_to_training": figure(
            share, "share", n, f"{n_is} of each kind", (high - low) / 2, f"{WILSON}, the images given"
        ),
    }


def copies(samples: Tensor, training: Tensor, threshold: float, new: int, unit: str) -> dict[str, Any]:
    """Share of samples nearer to one of all training images than the `copy_threshold` of ``new`` images.

    Returns
    -------
    dict
        "share", its n the samples; "distance", the median to the nearest training image; "threshold".
    """
    distance, n = nearest(samples, training)[1], len(samples)
    near = int((distance < threshold).sum())
    low, high = wilson_interval(near, n)
    n_is = f"samples, against all {len(training):,} training images; the threshold is of {new:,} other test images"
    return {
        "share": figure(near / n, "share", n, n_is, (high - low) / 2, WILSON) | {"low": low, "high": high},
        "distance": _median(distance, unit, n_is),
        "threshold": threshold,
    }


def _median(distances: Tensor, unit: str, n_is: str) -> dict[str, Any]:
    ordered, n = double(distances).sort().values, len(distances)
    reach = 0.98 * math.sqrt(n)  # 1.96 standard deviations of the number below the median, sqrt(n) / 2
    low, high = ordered[max(0, math.floor(n / 2 - reach))], ordered[min(n - 1, math.ceil(n / 2 + reach))]
    half = ((high - low) / 2).item()
    return figure(ordered.median().item(), unit, n, n_is, half, "half its 95 % interval by order statistics")


def birthday(
    samples: Tensor, batch: int, threshold: float, pairs: int, name: Callable[[Tensor], Tensor]
) -> tuple[dict[str, Any], Tensor]:
    """`ganlib.metrics.birthday.birthday_test` as a table, and the closest pairs, (pairs or fewer, 2, 784).

    ``name`` gives images (n, 784) their class, (n,) int64: the table says of which classes the duplicates are.
    """
    found = birthday_test(samples, batch, threshold, pairs=len(samples) // batch)

    def finite(support: float) -> float | None:
        return support if math.isfinite(support) else None

    half = (found.high - found.low) / 2
    share = figure(found.share, "share", found.batches, f"batches of {batch}", half, WILSON)
    closest = torch.tensor([[i, j] for i, j, _ in found.pairs], dtype=torch.int64, device=samples.device).reshape(-1, 2)
    duplicates = closest[: sum(distance <= threshold for *_, distance in found.pairs)]
    # In one call: a classifier need not take no images.
    first, second = name(samples[duplicates.T.flatten()]).reshape(2, -1) if len(duplicates) else duplicates.T
    return {
        "share_with_a_duplicate": share | {"low": found.low, "high": found.high},
        "duplicates": {
            "of_class": torch.bincount(first[first == second], minlength=CLASSES).tolist(),
            "of_two_classes": int((first != second).sum()),
            "counted": "batches with a duplicate, by the class of both images of their closest pair",
        },
        "support": {
            "value": finite(found.support),
            "low": finite(found.support_low),
            "high": finite(found.support_high),
            "unit": "images of a uniform law with as many duplicates; null where none bounds it",
        },
        "threshold": found.threshold,
        "closest_distances": [distance for _, _, distance in found.pairs[:pairs]],
    }, samples[closest[:pairs]]


def classes(draws: Sequence[Tensor]) -> dict[str, Any]:
    """Shares of the ten digits among classes (n,) int64 in 0..9, and their entropy."""
    shares = torch.stack([double(torch.bincount(drawn, minlength=CLASSES)) / len(drawn) for drawn in draws]).cpu()
    entropies = [-(row * row.log()).nan_to_num(0).sum().item() for row in shares]
    n = len(draws) * len(draws[0])
    mean = shares.mean(0)
    return {
        "shares": mean.tolist(),
        "shares_of": "the digits 0 to 9, by the classifier",
        "n": n,
        "plus_minus": (mean * (1 - mean) / n).sqrt().tolist(),
        "plus_minus_is": "standard error over images",
        "entropy": over_draws(
            entropies, f"nats (log 10 = {math.log(CLASSES):.4f} if even)", len(draws[0]), "images a draw"
        ),
    }
