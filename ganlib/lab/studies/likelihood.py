"""A likelihood after all: log p(x) of images under generators with Gaussian noise on their images, beside Parzen's.

Table 1's numbers are estimates from samples. With noise on its output a generator has a density, which annealed
importance sampling (`ganlib.metrics.ais`) bounds from below; where the images are the generator's own, from both sides.
A Parzen window of the noise's width estimates the same density by the mean over as many draws of z as it has kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganlib import data
from ganlib.device import double
from ganlib.errors import Diverged
from ganlib.lab import runs
from ganlib.lab.generators import open_trained
from ganlib.lab.measure import VALIDATION_IMAGES
from ganlib.lab.models import vae
from ganlib.lab.studies.common import (
    Outcome,
    Say,
    check_digits,
    check_file_names,
    check_positive,
    check_types,
    figure,
    listed,
    read,
    side_by_side,
)
from ganlib.lab.studies.image_sets import described, opened
from ganlib.metrics import ais, parzen
from ganlib.sampling import Latent

# Widths of the noise: the paper's grid for Parzen windows, carried on below .1 in the same ratio, to .036.
WIDTHS = tuple(10 ** (k / 9 - 1) for k in range(-4, 4))
NAMES = {"test": "test images", "training": "training images", "simulated": "images drawn from the model"}
PROTOCOL = {
    "model": "z from the generator's prior (a uniform one as a function of normal variables, exactly), "
    "x ~ N(G(z), s^2 I), weights in the half precision in which they are committed. Another s is another model",
    "units": "nats of an image, of a density of 784 pixels in [0, 1], as Parzen's in Table 1",
    "dequantisation": "none, as in Table 1's protocol, so that the numbers stand beside Parzen's. Grey levels are "
    "points: with noise as narrow as their steps (1/255) a density would measure that. Wu et al. (2017) add uniform "
    "noise of one step to every pixel; their numbers are of other images",
    "noise": "one s a model, chosen by the mean lower bound on validation images, which no other figure is of. One run "
    "gives all widths: p(x|z)^beta is, up to its norm, the density of the wider noise s / beta^(1/2)",
    "lower": "annealed importance sampling from prior to posterior, in expectation a lower bound of log p(x). How far "
    "below it lies is known for simulated images alone. Few chains are effective while it is far below",
    "simulated": "images drawn from the model, noise included. Their z are exact posterior samples, from which reverse "
    "runs give upper bounds in expectation (Grosse, Ghahramani & Adams, 2015). Real images may be easier or harder",
    "steps": "HMC step sizes come from a pilot run with other random numbers, so they depend on no chain that is "
    "weighed, and both bounds are exact",
    "parzen": "of the same images: kernels on the samples without noise; by the paper's protocol, sigma chosen on the "
    "first validation images; and with sigma = s, where it estimates the log p(x) that the bounds are of, also from "
    "below in expectation",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the images, the annealing and the windows.

    Parameters
    ----------
    data : "mnist", or "digits" for a quick look.
    weights : generators by ``reproduce``, file names in the folder without ".safetensors", separated by commas; may be
        empty.
    vae : a decoder's file, with its ending, or empty.
    images : the first test images, and as many training images.
    valid_images : the first validation images, which choose the noise.
    simulated : images drawn from each model.
    chains : of each image.
    temperatures, valid_temperatures : of a chain, and of one that chooses the noise; at least 2.
    leapfrog : steps of a transition.
    samples : kernels of the Parzen windows.
    seed : of all random numbers.

    Raises
    ------
    TypeError, ValueError
        If one is of another type, or impossible.
    """

    data: str = "mnist"
    weights: str = "mnist-paper-seed0,mnist-paper-seed1,mnist-paper-averaged-seed0"
    vae: str = "vae.safetensors"
    images: int = 16
    valid_images: int = 16
    simulated: int = 8
    chains: int = 4
    temperatures: int = 1000
    valid_temperatures: int = 300
    leapfrog: int = 10
    samples: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check_digits(self.data)
        check_file_names(self.weights, self.vae)
        check_positive(self, "chains", "leapfrog", "samples")
        for name in ("images", "valid_images", "simulated", "temperatures", "valid_temperatures"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} is {getattr(self, name)}; give at least 2")


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Choose each model's noise and bound its log-likelihoods, the models side by side.

    Errors as `ganlib.data.load` and `ganlib.lab.studies.image_sets.generators`; ValueError if a split has fewer images
    than are asked for, ganlib.errors.Diverged if samples are not finite.
    """
    inputs: dict[str, str] = {}
    names = listed(settings.weights)
    whats = [described(each) for each in opened(settings.data, names, folder, inputs)]
    files = [folder / f"{name}.safetensors" for name in names]
    splits = {name: data.load(settings.data, name).flattened() for name in data.SPLITS}
    if settings.vae:
        files.append(read(folder, settings.vae, inputs))
        vae.load_decoder(files[-1], splits["train"].sha256)
        names.append(Path(settings.vae).stem)
        whats.append("a VAE's decoder; the noise is on its means")
    wanted = {"train": settings.images, "valid": settings.valid_images, "test": settings.images}
    for split, count in wanted.items():
        if len(splits[split]) < count:
            raise ValueError(f"{count} images are asked for, and {settings.data} has {len(splits[split])} in {split}")
    wanted["valid"] = min(len(splits["valid"]), max(settings.valid_images, VALIDATION_IMAGES))  # Parzen's sigma
    arrays = {split: splits[split].first(count).floats().numpy() for split, count in wanted.items()}
    kinds = [*(False for _ in listed(settings.weights)), *([True] if settings.vae else [])]
    jobs = [(settings, str(file), kind, arrays, str(device)) for file, kind in zip(files, kinds, strict=True)]
    sets: dict[str, Any] = {}
    for name, what, found in zip(names, whats, side_by_side(_measured, jobs, device), strict=True):
        sets[name] = {"what": what, **found}
        test, gap = found["test"]["log_likelihood"], found["simulated"]["gap"]
        say(
            f"{name}: noise {found['noise']['value']:.3f}; {test['value']:.1f} +- {test['plus_minus']:.1f} nats on "
            f"{test['n']:,} test images, a lower bound; gap on simulated images {gap['value']:.1f} nats"
        )
    return Outcome({"protocol": PROTOCOL, "sets": sets}, list(splits.values()), inputs=inputs)


def _measured(
    settings: Settings, file: str, is_vae: bool, arrays: dict[str, NDArray[np.float32]], where: str
) -> dict[str, Any]:
    """All figures of one model, from its file; `study` has checked what is in it."""
    device = torch.device(where)
    decoder, dim = _decoder(file, is_vae, device)
    given = {split: torch.from_numpy(array).to(device) for split, array in arrays.items()}
    valid = given["valid"][: settings.valid_images]
    rng = torch.Generator(device).manual_seed(settings.seed)
    normal = Latent(dim, "normal")
    with torch.no_grad():
        kernels = decoder(normal.minibatch(settings.samples, rng))
    if not kernels.isfinite().all():
        raise Diverged(f"{file}: its samples are not finite; it cannot be measured")
    sweep = _by_width(settings, decoder, dim, valid, rng)
    best = max(range(len(WIDTHS)), key=lambda i: sweep[i].mean().item())
    s = WIDTHS[best]
    windows = parzen.evaluate(kernels, given["valid"][:VALIDATION_IMAGES], given["test"])
    with torch.no_grad():
        z = normal.minibatch(settings.simulated, rng)
        own = decoder(z)
        simulated = own + s * torch.randn(own.shape, generator=rng, device=device)
    found: dict[str, Any] = {
        "noise": figure(s, "pixels in [0, 1]", len(valid), "validation images it was chosen on"),
        "noise_at_an_end": best in (0, len(WIDTHS) - 1),
        "widths": list(WIDTHS),
        "validation_lower_bounds": [each.mean().item() for each in sweep],
        "parzen_validation": parzen.log_likelihoods(kernels, valid, WIDTHS).mean(1).tolist(),
        "parzen_sigma": figure(windows.sigma, "pixels in [0, 1]", windows.valid, "validation images it was chosen on"),
    }
    parts = {"test": given["test"], "training": given["train"], "simulated": simulated}
    every = torch.cat([*parts.values()])  # in one run: larger products of matrices are faster
    f = ais.gaussian(decoder, every, s)
    betas, steps = _tuned(settings, f, len(every), dim, settings.temperatures, (), rng)
    start = _draws(len(every), settings.chains, dim, rng)
    below = ais.forward(f, start, betas, steps, leapfrog=settings.leapfrog, rng=rng)
    exact = z[:, None].expand(-1, settings.chains, -1)
    own_steps = steps[:, -settings.simulated :]
    f = ais.gaussian(decoder, simulated, s)
    above = ais.reverse(f, exact, betas, own_steps, leapfrog=settings.leapfrog, rng=rng)
    kernel = parzen.log_likelihoods(kernels, every, [s, windows.sigma])
    at = 0
    for name, images in parts.items():
        here, n_is = slice(at, at + len(images)), NAMES[name]
        at += len(images)
        found[name] = {
            "log_likelihood": _mean(below.log_likelihood[here], n_is, "nats, a lower bound in expectation"),
            "values": below.log_likelihood[here].tolist(),
            "effective_chains": _mean(below.effective[here], n_is, f"of {settings.chains} chains"),
            "acceptance": _mean(below.acceptance[here], n_is, "share of proposals"),
            "parzen": _mean(kernel[1, here], n_is, "nats, sigma by the paper's protocol"),
            "parzen_at_the_noise": _mean(kernel[0, here], n_is, "nats, sigma the noise's"),
        }
    gap = above.log_likelihood - below.log_likelihood[-settings.simulated :]
    found["simulated"] |= {
        "upper": _mean(above.log_likelihood, NAMES["simulated"], "nats, an upper bound in expectation"),
        "upper_values": above.log_likelihood.tolist(),
        "gap": _mean(gap, NAMES["simulated"], "nats, upper less lower bound"),
    }
    return found


def _decoder(file: str, is_vae: bool, device: torch.device) -> tuple[Callable[[Tensor], Tensor], int]:
    """Flat images in [0, 1] as a function of normal variables (m, d), and d."""
    if is_vae:
        net = vae.load_decoder(file).to(device).requires_grad_(False)
        return net, net.latent_dim
    trained, _ = open_trained(file)
    generator = trained.generator(device=device).requires_grad_(False)
    latent, signed = runs.latent(trained.run), trained.run.preprocessing == "tanh"

    def decoder(e: Tensor) -> Tensor:
        images: Tensor = generator(ais.from_normal(latent, e)).flatten(1)
        return images / 2 + 0.5 if signed else images

    return decoder, latent.dim


def _by_width(
    settings: Settings, decoder: Callable[[Tensor], Tensor], dim: int, images: Tensor, rng: torch.Generator
) -> Tensor:
    """Lower bounds (widths, n) of the images' log-likelihoods under noise of each width, from one run."""
    s, pixels = min(WIDTHS), images.shape[1]
    f = ais.gaussian(decoder, images, s)
    wanted = [(s / width) ** 2 for width in WIDTHS]
    betas, steps = _tuned(settings, f, len(images), dim, settings.valid_temperatures, wanted, rng)
    start = _draws(len(images), settings.chains, dim, rng)
    path = ais.forward(f, start, betas, steps, leapfrog=settings.leapfrog, rng=rng).path
    assert path is not None
    found = []
    for width, beta in zip(WIDTHS, wanted, strict=True):
        # The path's density has the norm of the narrowest noise to the power beta; this gives it its own.
        norms = [math.log(each * math.sqrt(2 * math.pi)) for each in (s, width)]
        found.append(path[betas.index(beta)] + pixels * (beta * norms[0] - norms[1]))
    return torch.stack(found)


def _tuned(
    settings: Settings,
    f: ais.LogLikelihood,
    n: int,
    dim: int,
    temperatures: int,
    among: tuple[()] | list[float],
    rng: torch.Generator,
) -> tuple[list[float], Tensor]:
    """The inverse temperatures, with those that are wanted among them, and their step sizes."""
    betas = sorted({*ais.schedule(temperatures).tolist(), *among})
    pilot = _draws(n, settings.chains, dim, rng)
    return betas, ais.tuned(f, pilot, betas, leapfrog=settings.leapfrog, rng=rng)


def _draws(n: int, chains: int, dim: int, rng: torch.Generator) -> Tensor:
    return torch.randn(n, chains, dim, generator=rng, device=rng.device)


def _mean(values: Tensor, n_is: str, unit: str) -> dict[str, Any]:
    values = double(values)
    error = (values.std(correction=0) / math.sqrt(len(values))).item()
    return figure(values.mean().item(), unit, len(values), n_is, error, "standard error over images")
