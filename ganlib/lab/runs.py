"""Named runs: the paper's experiments and their companions, every setting visible, typed and checked before any work.

`get` looks one up and changes settings by name; `load_data`, `latent` and `networks` build what it says.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from ganlib.lab.build import latent, load_data, networks
from ganlib.lab.settings import DATA, Run, describe, read

__all__ = ["RUNS", "Run", "as_dict", "changed", "describe", "get", "latent", "load_data", "networks"]

_ORIGINAL = "configuration file published with the paper"
_MNIST = Run(
    name="mnist-paper",
    source=f"mnist.yaml, {_ORIGINAL}; stopped by hand there, here after its momentum schedule, 250 epochs",
    data="mnist",
    preprocessing="unit",
    nets="paper",
    width=1200,
    units=240,
    update="simultaneous",
    reduction="mean",
    optimiser="sgd",
    d_lr=0.1,
    g_lr=0.1,
    momentum=0.5,
    momentum_final=0.7,
    momentum_epochs=250,
    lr_decay=1.000004,
    lr_floor=1e-6,
    iterations=250 * 500,
    every=500,
)
_CIFAR10 = replace(
    _MNIST,
    name="cifar10-fc",
    source=f"cifar10_fully_connected.yaml, {_ORIGINAL}; it names no end, 500 epochs are our choice",
    data="cifar10",
    image_size=0,
    preprocessing="gcn",
    nets="cifar-fc",
    width=8000,
    units=1600,
    latent_law="normal",
    d_lr=0.025,
    g_lr=0.025,
    iterations=500 * 400,
    every=400,
)
_TFD = replace(
    _MNIST,
    name="tfd",
    source=f"tfd_pretrain/pretrain.yaml, {_ORIGINAL}: stage 1, 50 epochs of the 98,058 unlabelled images",
    data="tfd",
    image_size=0,
    nets="tfd",
    width=8000,
    units=1200,
    latent_law="normal",
    d_lr=0.05,
    g_lr=0.05,
    max_norm=1.9365,
    iterations=50 * 980,
    every=980,
)
_RING = Run(
    name="ring8",
    source="ours: eight Gaussians on a circle, sized for a CPU",
    data="ring8",
    preprocessing="none",
    nets="mlp",
    width=128,
    latent_dim=16,
    latent_law="normal",
    m=256,
    optimiser="adam",
    d_lr=2e-3,
    g_lr=1e-3,
    beta1=0.5,
    iterations=8_000,
    every=500,
)
_DCGAN = Run(
    name="dcgan-mnist",
    source="Radford, Metz and Chintala (2015) at 28 x 28; 25 epochs are our choice",
    data="mnist",
    preprocessing="tanh",
    nets="dcgan",
    width=64,
    latent_low=-1.0,
    latent_high=1.0,
    m=128,
    optimiser="adam",
    d_lr=2e-4,
    g_lr=2e-4,
    beta1=0.5,
    iterations=25 * 390,
    every=390,
)

RUNS: dict[str, Run] = {
    run.name: run
    for run in (
        _MNIST,
        replace(
            _MNIST,
            name="mnist-paper-alternating",
            source=f"{_MNIST.source}; the update alternates with fresh noise, as Algorithm 1 prints it",
            update="alternating",
        ),
        _CIFAR10,
        replace(
            _CIFAR10,
            name="cifar10-conv",
            source=f"cifar10_convolutional.yaml, {_ORIGINAL}; it names no end, 500 epochs are our choice",
            nets="cifar-conv",
            units=500,
            d_lr=0.004,
            g_lr=0.004,
            m=128,
            iterations=500 * 312,
            every=312,
        ),
        replace(
            _CIFAR10,
            name="cifar10-fc-small",
            source="ours: cifar10-fc with its layers made about ten times narrower, sized for a CPU; 50 epochs",
            width=800,
            units=160,
            iterations=50 * 400,
        ),
        replace(
            _CIFAR10,
            name="cifar10-conv-small",
            source="ours: cifar10-conv with narrower full layers, smaller minibatches, and Adam, which leaves D's flat "
            "start sooner, G's steps ten times D's; sized for a CPU",
            nets="cifar-conv",
            width=1600,
            units=50,
            optimiser="adam",
            d_lr=1e-4,
            g_lr=1e-3,
            beta1=0.5,
            momentum=0.0,
            momentum_final=0.0,
            momentum_epochs=1,
            lr_decay=1.0,
            m=32,
            iterations=8000,
            every=160,
        ),
        _TFD,
        replace(
            _TFD,
            name="tfd-stage2",
            source=f"tfd_pretrain/train.yaml, {_ORIGINAL}: stage 2, 22 epochs; set pretrained to stage 1's checkpoint",
            stage=2,
            iterations=22 * 980,
        ),
        _DCGAN,
        replace(
            _DCGAN,
            name="dcgan-64",
            source="Radford, Metz and Chintala (2015) at 64 x 64, on CIFAR-10 enlarged from 32 x 32 by bilinear "
            "interpolation on the device; 25 epochs are our choice",
            data="cifar10",
            image_size=64,
            iterations=25 * 312,
            every=312,
        ),
        replace(
            _DCGAN,
            name="dcgan-digits",
            source="ours: DCGAN (Radford, Metz and Chintala, 2015) on the embedded digits, narrow enough to be sent to "
            "a browser and to be trained on a CPU; 100 epochs are our choice",
            data="digits",
            width=24,
            m=64,
            iterations=100 * 62,
            every=62,
        ),
        replace(
            _DCGAN,
            name="small-mlp",
            source="the small fully connected pair of widespread teaching code, whose two steps start from the same "
            "parameters; its usual 200 epochs",
            nets="small-mlp",
            width=128,
            latent_law="normal",
            latent_low=Run.latent_low,
            latent_high=Run.latent_high,
            update="simultaneous",
            reduction="mean",
            m=64,
            iterations=200 * 781,
            every=781,
        ),
        _RING,
        replace(
            _RING,
            name="grid25",
            source="ours: 25 Gaussians on a square grid, sized for a CPU",
            data="grid25",
            activation="tanh",
        ),
        replace(
            _RING,
            name="figure1",
            source="ours: Figure 1's one-dimensional Gaussian and uniform noise, two small perceptrons",
            data="gaussian",
            width=32,
            activation="softplus",
            latent_dim=1,
            latent_law="uniform",
            iterations=3000,
            every=100,
        ),
    )
}


def get(name: str, overrides: Mapping[str, Any] | None = None) -> Run:
    """Look a named run up, with some of its settings changed.

    Parameters
    ----------
    name : one of `RUNS`.
    overrides : settings by name, as values or as strings (from a command line), which are read as the setting's type.
        When ``data`` changes and ``image_size`` does not, images keep the size of the new data, unless the named run
        resizes its own.

    Raises
    ------
    ValueError
        If there is no such run or setting (the message has the nearest names), a string is not of the setting's type,
        or a value is impossible.

    Examples
    --------
    >>> get("ring8", {"k": "2", "d_lr": 5e-4}).k
    2
    """
    if name not in RUNS:
        raise ValueError(f"no run {name!r}{_near(name, RUNS)}; there are {', '.join(RUNS)}")
    named, values = RUNS[name], dict(overrides or {})
    types = {field.name: str(field.type) for field in fields(Run) if field.name not in ("name", "source")}
    for setting, value in values.items():
        if setting not in types:
            raise ValueError(f"no setting {setting!r}{_near(setting, types)}; there are {', '.join(types)}")
        if isinstance(value, str):
            values[setting] = read(setting, value, types[setting], describe()[setting])
    if "data" in values and "image_size" not in values and named.image_size == DATA.get(named.data, (0, 0, 0))[1]:
        values["image_size"] = 0
    return replace(named, **values)


def as_dict(run: Run) -> dict[str, str | int | float]:
    """Every setting by name, for provenance; JSON keeps it exactly."""
    return asdict(run)


def changed(run: Run) -> dict[str, tuple[str | int | float, str | int | float]]:
    """The settings that differ from the run of that name in `RUNS`: (the named run's value, this one's).

    Raises
    ------
    ValueError
        If no named run is called ``run.name``.

    Examples
    --------
    >>> changed(get("ring8", {"k": 5}))
    {'k': (1, 5)}
    """
    if run.name not in RUNS:
        raise ValueError(f"no run {run.name!r}{_near(run.name, RUNS)}; there are {', '.join(RUNS)}")
    named, this = as_dict(RUNS[run.name]), as_dict(run)
    return {setting: (named[setting], this[setting]) for setting in this if this[setting] != named[setting]}


def _near(name: str, names: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    return f", did you mean {' or '.join(near)}?" if near else ""
