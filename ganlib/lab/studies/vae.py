"""A VAE with the paper's generator as its decoder, under the paper's Parzen protocol.

How long it trains is chosen on the validation images' bound alone; the test images are looked at once, at the end. The
log-likelihood is that of the decoder in "vae.safetensors", in the half precision in which it is committed. The bounds
are of the full-precision weights that training left, and need the encoder, which is not committed.
"""

from __future__ import annotations

import copy
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlib import data
from ganlib.lab.models import vae
from ganlib.lab.studies.common import Outcome, Say, check_positive, check_types, figure
from ganlib.metrics import parzen

SAMPLES_ARE = "the decoder's means for z from N(0, I)"
BOUND_IS = "nats (cross-entropy of grey pixels: no density)"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of the VAE, its training and its measurement.

    Parameters
    ----------
    data : of `ganlib.data.load`, one with grey images.
    latent_dim, hidden : of both networks.
    iterations, every, m, lr, seed : of `ganlib.lab.models.vae.train`; a snapshot is looked at ``every`` iterations.
    samples, sampling_seed : drawn for the Parzen windows.
    validation_images : the first ones, which choose their width.

    Raises
    ------
    TypeError, ValueError
        If one is of another type or impossible.
    """

    data: str = "mnist"
    latent_dim: int = 100
    hidden: int = 1200
    iterations: int = 30_000
    every: int = 500
    m: int = 100
    lr: float = 1e-3
    seed: int = 0
    samples: int = 10_000
    sampling_seed: int = 0
    validation_images: int = 1000

    def __post_init__(self) -> None:
        check_types(self)
        if self.data not in ("digits", "mnist", "fashion-mnist"):
            raise ValueError(f"data is {self.data!r}; the VAE is for grey images: digits, mnist or fashion-mnist")
        check_positive(self, "latent_dim", "hidden", "iterations", "every", "m", "lr", "samples", "validation_images")
        if self.lr == math.inf:
            raise ValueError("lr is inf; give a finite learning rate")


def study(settings: Settings, device: torch.device, folder: Path, say: Say) -> Outcome:
    """Train, choose, measure. ``folder`` is not read; errors as `ganlib.data.load`, `ganlib.lab.models.vae.train`."""
    splits = {name: data.load(settings.data, name).flattened().to(device) for name in data.SPLITS}
    train, valid, test = splits.values()
    net = vae.VAE(
        settings.latent_dim,
        settings.hidden,
        train.mean(),
        outputs=train.pixels[0].numel(),
        seed=settings.seed,
    ).to(device)
    best, chosen, at = net, 0, 0
    curve: list[dict[str, float]] = []
    training = vae.train(
        net,
        train,
        iterations=settings.iterations,
        every=settings.every,
        m=settings.m,
        lr=settings.lr,
        seed=settings.seed,
    )
    for reached in training:
        at = min(at + settings.every, settings.iterations)
        held_out = vae.bounds(net, valid).mean().item()
        if not curve or held_out > max(point["validation"] for point in curve):
            best, chosen = copy.deepcopy(net), at
        curve.append({"iteration": at, "training": reached, "validation": held_out})
        say(f"iteration {at:,}: bound {reached:.2f} on training minibatches, {held_out:.2f} on validation images")
    weights = vae.decoder_file(best, chosen, train.sha256)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "vae.safetensors"
        path.write_bytes(weights)
        decoder = vae.load_decoder(path).to(device)
    drawn = vae.samples(decoder, settings.samples, seed=settings.sampling_seed)
    few = valid.first(min(settings.validation_images, len(valid))).floats()
    score = parzen.evaluate(drawn, few, test.floats())
    say(str(score))
    figures = {
        "log_likelihood": figure(
            score.mean, "nats", score.test, "test images", score.standard_error, "standard error over test images"
        ),
        "sigma": figure(score.sigma, "pixels in [0, 1]", score.valid, "validation images it was chosen on"),
        "samples": {"count": score.samples, "are": SAMPLES_ARE, "seed": settings.sampling_seed},
        "validation_log_likelihoods": {"sigmas": list(score.sigmas), "values": list(score.sweep)},
        "validation_bound": _bound(vae.bounds(best, valid), "validation images (the snapshot was chosen on them)"),
        "test_bound": _bound(vae.bounds(best, test), "test images"),
        "chosen_iteration": chosen,
        "parameters": {
            "decoder": sum(weight.numel() for weight in net.decoder.parameters()),
            "encoder": sum(weight.numel() for weight in net.encoder.parameters()),
        },
        "curve": curve,
    }
    return Outcome(figures=figures, data=list(splits.values()), files={"vae.safetensors": weights}, inputs={})


def _bound(values: Tensor, n_is: str) -> dict[str, Any]:
    error = (values.std(correction=0) / math.sqrt(len(values))).item()
    return figure(
        values.mean().item(), BOUND_IS, len(values), n_is, error, "standard error over images, one draw of z each"
    )
