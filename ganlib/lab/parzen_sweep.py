"""The Parzen score under every width: a trained generator's samples against training images and k-means centres.

What `ganlib.widgets.ParzenExplorer` shows. The paper's protocol is one point of each curve; the curves show what that
point hides: how training images and averages of them compare with the model, and how much the width decides.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ganlib import data, limits, tensors
from ganlib.data.images import Images
from ganlib.errors import Diverged
from ganlib.lab import runs
from ganlib.lab.measure import VALIDATION_IMAGES, to_unit
from ganlib.lab.runs import Run
from ganlib.metrics.kmeans import kmeans
from ganlib.metrics.parzen import PAPER_SIGMAS, checked, end_of_grid, log_likelihoods
from ganlib.sampling import sample

# Eighteen widths a decade: every second one from .1 on is one of the paper's ten.
SIGMAS = tuple(sorted((*PAPER_SIGMAS, *(10 ** (i / 18 - 1) for i in (*range(-6, 0), *range(1, 18, 2))))))
EXAMPLES = 8
ROUNDS = 8  # of Lloyd's algorithm
# Goodfellow et al. (2014), Table 1.
PUBLISHED = {"mean": 225, "standard_error": 2, "of": "adversarial nets on MNIST (Goodfellow et al., 2014, Table 1)"}


def sweep(
    kernels: Mapping[str, Tensor],
    valid: Tensor,
    test: Tensor,
    sigmas: Sequence[float] = SIGMAS,
    *,
    examples: int = EXAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Parzen log-likelihoods of validation and test images under every width, for several sets of kernels.

    Parameters
    ----------
    kernels : by name, (n, ...) in [0, 1], the kernels' centres.
    valid, test : (v, ...) and (t, ...), of the kernels' trailing shape and device.
    sigmas : widths > 0, in the units of the data.
    examples : kernels of each set that are kept as pictures, rounded to 256 grey levels, >= 0; drawn with ``seed``.

    Returns
    -------
    dict
        "sigmas", "valid" and "test" (numbers of images), and "sets": for each its "name", "kernels" (their number),
        "valid" and "test" (mean log-likelihood in nats by sigma), "standard_error" (over test images, by sigma),
        "chosen" and "chosen_of_papers" (index of the width that is best on the validation images, of all and of the
        paper's ten; the second None without them) and "examples" (base64 of uint8, one after another). Fit for JSON.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, a set is empty or not finite, kernels lie outside [0, 1], or a sigma is not positive.
    """
    limits.kind("kernels", kernels, Mapping, "of tensors by name")
    if not kernels:
        raise ValueError("kernels is empty; give at least one set of them")
    examples = limits.check("examples", examples, 0)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    for name, centres in kernels.items():
        tensors.real(f"kernels {name!r}", centres, rank=2)
        for which, images in (("valid", valid), ("test", test)):
            checked(which, centres, images, sigmas)
    sigmas = tuple(map(float, sigmas))
    papers = [i for i, sigma in enumerate(sigmas) if any(math.isclose(sigma, each) for each in PAPER_SIGMAS)]
    for name, centres in kernels.items():
        if not (centres.min() >= 0 and centres.max() <= 1):
            raise ValueError(f"{name!r} is empty or leaves [0, 1]; give one or more images with pixels in [0, 1]")
    sets = []
    for name, centres in kernels.items():
        on_valid = [_short(each) for each in log_likelihoods(centres, valid, sigmas).mean(1)]
        scores = log_likelihoods(centres, test, sigmas)
        errors = scores.std(1, correction=0) / math.sqrt(len(test))
        rng = torch.Generator().manual_seed(seed)
        pick = torch.randperm(len(centres), generator=rng)[:examples].to(centres.device)
        pixels = (centres.detach()[pick] * 255).round().to(torch.uint8).cpu().numpy().tobytes()
        sets.append(
            {
                "name": name,
                "kernels": len(centres),
                "valid": on_valid,
                "test": [_short(each) for each in scores.mean(1)],
                "standard_error": [_short(each) for each in errors],
                "chosen": max(range(len(sigmas)), key=on_valid.__getitem__),
                "chosen_of_papers": max(papers, key=on_valid.__getitem__, default=None),
                "examples": base64.b64encode(pixels).decode(),
            }
        )
    return {"sigmas": list(sigmas), "valid": len(valid), "test": len(test), "sets": sets}


def remarks(found: Mapping[str, Any]) -> list[str]:
    """What is to be said beside the scores of a `sweep`: which sets' chosen widths are at an end of those tried."""
    sigmas = found["sigmas"]
    said = [(each["name"], end_of_grid(sigmas[each["chosen"]], sigmas)) for each in found["sets"]]
    return [f"{name}: {says}" for name, says in said if says]


def sweep_run(run: Run, generator: torch.nn.Module, n: int = 10_000) -> tuple[dict[str, Any], list[Images]]:
    """`sweep` of a trained generator and its data, with n samples, n training images, all of them, and n centres.

    Parameters
    ----------
    run : what the generator was trained as: images, not contrast-normalised.
    generator : on the device to compute on.
    n : kernels of each set but one, at most the training images.

    Returns
    -------
    dict
        As `sweep`, and "shape" (of an image), "published" (Table 1, where the data are MNIST, else None), "protocol".
    list of Images
        The splits used.

    Raises
    ------
    ValueError
        If the run has no images in [0, 1] or [-1, 1], or too few for ``n``.
    Diverged
        If a sample is not finite.
    FileNotFoundError
        If the data are missing.
    """
    check(run)
    n = limits.check("n", n)
    device = tensors.device_of(generator)
    splits = [runs.load_data(run, device, split=split) for split in data.SPLITS]
    used = [each.scaled(0, 1).flattened() for each in splits if isinstance(each, Images)]
    train, valid, test = used
    if not 1 <= n <= len(train):
        raise ValueError(f"{n} kernels are asked for; {train.name} has {len(train)} training images, give at most that")
    drawn = sample(generator, runs.latent(run), n)
    if not drawn.isfinite().all():
        raise Diverged(f"{run.name}: the generator's samples are not finite; it cannot be measured")
    images = train.floats()
    kernels = {
        "model samples": to_unit(run, drawn).flatten(1),
        "training images": images[:n],
        "all training images": images,
        "k-means centres": kmeans(images, n, rounds=ROUNDS).clamp(0, 1),
    }
    found = sweep(kernels, valid.first(min(VALIDATION_IMAGES, len(valid))).floats(), test.floats())
    return {
        "protocol": "Parzen windows on pixels in [0, 1]: mean log-likelihood of the test images in nats, its standard "
        f"error over test images; widths chosen on the first validation images. The model's samples are of seed 0; the "
        f"training images are the first; k-means has {ROUNDS} rounds of Lloyd's algorithm from random training images "
        "(seed 0), in all of them. Example kernels are random ones, rounded to 256 grey levels",
        "shape": [run.image_size, run.image_size],
        "published": PUBLISHED if run.data == "mnist" else None,
        **found,
    }, used


def check(run: Run) -> None:
    """Refuse a run that has no sweep (ValueError)."""
    limits.kind("run", run, Run)
    if run.channels != 1 or run.preprocessing == "gcn":
        raise ValueError(f"{run.name} has no grey images in [0, 1]; a sweep needs a run such as mnist-paper")


def _short(value: Tensor) -> float:
    """Seven digits: more than the float32 distances behind it are good for."""
    return float(f"{value.item():.7g}")
