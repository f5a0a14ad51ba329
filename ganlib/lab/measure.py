"""Measuring a named run's generator: which measure fits which data, each figure with its n and what its +- means.

Images in [0, 1] or [-1, 1] get the paper's Parzen protocol, in [0, 1]. Contrast-normalised images get the same protocol
in their own space, with widths stated, and a classifier two-sample test. Mixtures in two dimensions get their modes
counted; one-dimensional data their mean, standard deviation and Jensen-Shannon divergence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganlib import theory
from ganlib.data.images import Images
from ganlib.errors import Diverged
from ganlib.lab import runs
from ganlib.lab.runs import Run
from ganlib.lab.speed import onednn
from ganlib.metrics import parzen
from ganlib.metrics.modes import count_modes
from ganlib.metrics.two_sample import classifier_test
from ganlib.sampling import sample
from ganlib.toys import Mixture

VALIDATION_IMAGES = 1000  # the paper's protocol chooses sigma on the first 1,000
SAMPLES = 10_000
TWO_SAMPLE_IMAGES = 2000
JSD_BINS = 50


def held_out(run: Run, device: torch.device | str = "cpu") -> dict[str, Images | Mixture]:
    """What a generator is measured against: splits "valid" and "test", or toy data under "data".

    Errors as `ganlib.data.load`.
    """
    if run.channels == 0:
        return {"data": runs.load_data(run, device)}
    return {split: runs.load_data(run, device, split=split) for split in ("valid", "test")}


def measure(
    run: Run,
    generator: nn.Module,
    data: Mapping[str, Images | Mixture],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure a generator as fits its data.

    Parameters
    ----------
    run : what it was trained as.
    generator : maps (m, run.latent_dim) to data, on the data's device.
    data : from `held_out`.
    samples : drawn from the generator, >= 4.
    seed : of that draw.

    Returns
    -------
    dict
        "protocol" (a sentence), "samples", "sampling_seed", "figures" and "details". A figure is a dict: "value",
        "unit", "n", "n_is" (what was counted), "plus_minus" (None if it has none) and "plus_minus_is". All of it is
        fit for JSON.

    Raises
    ------
    ValueError
        If ``samples`` is too small or data do not fit the run.
    Diverged
        If a sample is not finite.
    """
    if samples < 4:
        raise ValueError(f"samples is {samples}; a measurement needs at least 4")
    with onednn.products():
        drawn = _drawn(run, generator, samples, seed)
        one = data.get("data")
        if isinstance(one, Mixture):
            found = _line(drawn, one, seed) if one.dim == 1 else _modes(drawn, one)
        else:
            valid, test = data["valid"], data["test"]
            assert isinstance(valid, Images)
            assert isinstance(test, Images)
            found = _parzen(run, drawn, valid, test)
            if run.preprocessing == "gcn":
                found = _and_two_samples(run, drawn, test, found)
    return {"samples": samples, "sampling_seed": seed, **found}


def validation_score(
    run: Run, generator: nn.Module, data: Mapping[str, Images | Mixture], *, samples: int = SAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The width that the Parzen protocol chooses, and the validation images' mean log-likelihood under it, in nats.

    Arguments and errors as `measure`, for images only; "test" is not looked at, and need not be there.
    """
    valid = data["valid"]
    assert isinstance(valid, Images)
    space = _space(run, valid)
    points = space.images(valid.first(min(VALIDATION_IMAGES, len(valid)))).floats()
    with onednn.products():
        kernels = _kernels(run, _drawn(run, generator, samples, seed))
        scores = parzen.log_likelihoods(kernels, points, space.sigmas).mean(1).tolist()
    best = scores.index(max(scores))
    return space.sigmas[best], scores[best]


def figure(
    value: float, unit: str, n: int, n_is: str, plus_minus: float | None = None, plus_minus_is: str = "none is given"
) -> dict[str, Any]:
    """A measured number with its unit, the n it comes from, and what its +- is.

    Examples
    --------
    >>> figure(0.5, "share", 100, "samples")["plus_minus"] is None
    True
    """
    found: dict[str, Any] = {"value": value, "unit": unit, "n": n, "n_is": n_is}
    return found | {"plus_minus": plus_minus, "plus_minus_is": plus_minus_is}


def to_unit(run: Run, samples: Tensor) -> Tensor:
    """Images (n, C, H, W) in [0, 1] from a generator's, however the run preprocesses.

    Contrast-normalised images have lost their mean and contrast: each is stretched to [0, 1] by itself, for display.
    """
    images = samples.reshape(len(samples), run.channels, run.image_size, run.image_size)
    if run.preprocessing == "gcn":
        low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
        return (images - low) / (high - low).clamp(min=1e-12)
    return (images / 2 + 0.5 if run.preprocessing == "tanh" else images).clamp(0, 1)


def remark(found: Mapping[str, Any]) -> str:
    """What is to be said beside the figures of an `measure`: that a Parzen width is at an end of its grid, or ""."""
    sigmas = found["details"].get("sigmas")
    return parzen.end_of_grid(found["figures"]["sigma"]["value"], sigmas) if sigmas else ""


def across_seeds(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation of each figure over evaluations, one a training seed.

    Returns
    -------
    dict
        By figure: "mean", "standard_deviation" (with n - 1; None for one seed), "n" (seeds), "values" and "unit".

    Examples
    --------
    >>> figure = {"figures": {"share": {"value": 0.5, "unit": "share"}}}
    >>> across_seeds([figure, figure])["share"]["standard_deviation"]
    0.0
    """
    out = {}
    for name, figure in evaluations[0]["figures"].items():
        values = [each["figures"][name]["value"] for each in evaluations]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        out[name] = {"mean": float(np.mean(values)), "standard_deviation": spread, "n": len(values), "values": values}
        out[name]["unit"] = figure["unit"]
    return out


@dataclass(frozen=True)
class _Space:
    """Where Parzen windows are laid: how images come into it, the widths tried, and its name."""

    images: Callable[[Images], Images]
    sigmas: tuple[float, ...]
    where: str


def _space(run: Run, images: Images) -> _Space:
    if run.preprocessing != "gcn":
        where = "pixels in [0, 1]" + (" (mapped back from [-1, 1])" if run.preprocessing == "tanh" else "")
        return _Space(lambda each: each.scaled(0, 1).flattened(), parzen.PAPER_SIGMAS, where)
    assert images.norm is not None
    scale = images.norm / math.sqrt(run.dim)  # root mean square of a pixel: all of them share the norm
    # The paper's grid, .1 to 1, shifted: the best width of white noise, and of training images, then lies inside it.
    sigmas = tuple(10**0.5 * sigma * scale for sigma in parzen.PAPER_SIGMAS)
    where = f"contrast-normalised pixels (root mean square {scale:.4g}; widths .316 to 3.16 times that)"
    return _Space(Images.flattened, sigmas, where)


def _drawn(run: Run, generator: nn.Module, samples: int, seed: int) -> Tensor:
    drawn = sample(generator, runs.latent(run), samples, seed=seed)
    if not drawn.isfinite().all():
        raise Diverged(f"{run.name}: the generator's samples are not finite; it cannot be measured")
    return drawn


def _kernels(run: Run, drawn: Tensor) -> Tensor:
    return drawn.flatten(1) / 2 + 0.5 if run.preprocessing == "tanh" else drawn.flatten(1)


def _parzen(run: Run, drawn: Tensor, valid: Images, test: Images) -> dict[str, Any]:
    space = _space(run, test)
    few = space.images(valid.first(min(VALIDATION_IMAGES, len(valid)))).floats()
    sigmas, where = space.sigmas, space.where
    result = parzen.evaluate(_kernels(run, drawn), few, space.images(test).floats(), sigmas)
    return {
        "protocol": f"Parzen windows (Goodfellow et al., 2014, section 5) on {where}: sigma chosen among {len(sigmas)} "
        f"widths on the first {result.valid:,} validation images of {test.name}, log-likelihood on its test images",
        "figures": {
            "log_likelihood": figure(
                result.mean,
                "nats",
                result.test,
                "test images",
                result.standard_error,
                "standard error over test images",
            ),
            "sigma": figure(result.sigma, where, result.valid, "validation images it was chosen on"),
        },
        "details": {
            "sigmas": list(result.sigmas),
            "validation_log_likelihoods": list(result.sweep),
            # The best width may then lie beyond those tried.
            "sigma_at_an_end": result.sigma in (min(sigmas), max(sigmas)),
        },
    }


def _and_two_samples(run: Run, drawn: Tensor, test: Images, found: dict[str, Any]) -> dict[str, Any]:
    n = min(TWO_SAMPLE_IMAGES, len(test), len(drawn))
    real, fake = (
        x.reshape(n, run.channels, run.image_size, run.image_size) for x in (test.first(n).floats(), drawn[:n])
    )
    told = classifier_test(_critic(run).to(drawn.device), real, fake, steps=100, lr=1e-3)
    error = math.sqrt(told.accuracy * (1 - told.accuracy) / told.n)
    found["figures"]["two_sample_accuracy"] = figure(
        told.accuracy,
        "share",
        told.n,
        "held-out samples, half of them real",
        error,
        "standard error over held-out samples",
    )
    found["details"]["two_sample_bound_95"] = told.bound
    found["protocol"] += (
        f". A fresh critic (two convolutions), trained on half of {n:,} test images and as many samples, classifies "
        "the other half: accuracy 1/2 means it finds no difference. The log-likelihood is not comparable with the "
        "paper's tables, which have no contrast-normalised data"
    )
    return found


def _critic(run: Run) -> nn.Module:
    """Two strided convolutions and a logit, always from the same start: neighbouring pixels tell images from noise."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(run.channels, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(64 * (run.image_size // 4) ** 2, 1),
            nn.Flatten(0),
        )


def _modes(drawn: Tensor, mixture: Mixture) -> dict[str, Any]:
    share = 1 / (4 * mixture.modes)
    count = count_modes(drawn, mixture, share)
    n, good = len(drawn), count.high_quality
    own = 1 - math.exp(-4.5)  # of the data themselves within 3 std, in two dimensions
    return {
        "protocol": f"{mixture.name}: a mode is covered if at least {share:.4g} of all samples (a quarter of a fair "
        f"share) lie within 3 std of it; a sample is of high quality within 3 std of some mode, as {own:.4f} of the "
        "data are",
        "figures": {
            "modes_covered": figure(count.covered, f"of {mixture.modes} modes", n, "samples"),
            "high_quality": figure(
                good, "share", n, "samples", math.sqrt(good * (1 - good) / n), "standard error over samples"
            ),
        },
        "details": {"minimum_share": share, "shares": list(count.shares)},
    }


def _line(drawn: Tensor, mixture: Mixture, seed: int) -> dict[str, Any]:
    x = drawn.cpu().double().flatten()
    n, mean, std = len(x), x.mean().item(), x.std().item()
    weights, centres = mixture.probabilities.cpu().double(), mixture.centres.cpu().double()[:, 0]
    data_mean = float(weights @ centres)
    data_std = math.sqrt(float(weights @ (centres - data_mean).square()) + mixture.std**2)
    # The data's probability of each bin is exact; the outermost bins reach to infinity.
    edges = torch.linspace(data_mean - 4 * data_std, data_mean + 4 * data_std, JSD_BINS - 1, dtype=torch.float64)
    below = torch.special.ndtr((edges[:, None] - centres) / mixture.std) @ weights
    p_data = torch.diff(below, prepend=below.new_zeros(1), append=below.new_ones(1)).clamp(min=0)

    def divergence(points: Tensor) -> float:
        counts = torch.bincount(torch.bucketize(points, edges), minlength=JSD_BINS).double()
        return theory.jsd(p_data.numpy(), (counts / counts.sum()).numpy())

    own = mixture.to("cpu").minibatch(n, torch.Generator().manual_seed(seed)).double().flatten()
    fourth = (x - mean).pow(4).mean().item()
    std_error = math.sqrt(max(fourth - std**4, 0.0) / n) / (2 * std) if std else 0.0
    over = "standard error over samples"
    return {
        "protocol": f"{mixture.name} has mean {data_mean:g} and standard deviation {data_std:g}. The Jensen-Shannon "
        f"divergence is between the samples' histogram and the data's exact probabilities of {JSD_BINS} bins; "
        f"{n:,} samples of the data themselves are at jsd_of_data, not at 0",
        "figures": {
            "mean": figure(mean, "units of the data", n, "samples", std / math.sqrt(n), over),
            "standard_deviation": figure(std, "units of the data", n, "samples", std_error, over),
            "jsd": figure(divergence(x), "nats", n, "samples"),
        },
        "details": {"data_mean": data_mean, "data_standard_deviation": data_std, "jsd_of_data": divergence(own)},
    }
