"""Samples as bytes of a file."""

from __future__ import annotations

import io
import math

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from ganlib import figures
from ganlib.lab import measure, runs
from ganlib.lab.runs import Run
from ganlib.toys import Mixture


def picture(run: Run, samples: Tensor) -> bytes:
    """A PNG: images side by side, points in the plane, or a histogram on the line."""
    if run.channels:
        import torchvision  # here: importing it takes longer than importing torch

        grid = torchvision.utils.make_grid(
            measure.to_unit(run, samples), math.isqrt(len(samples) - 1) + 1, pad_value=1.0
        )
        png = torchvision.io.encode_png((grid * 255).round().byte())
        return bytes(png.numpy())

    data = runs.load_data(run)
    assert isinstance(data, Mixture)
    figure = Figure(figsize=(5, 5), layout="constrained", facecolor="white")
    axis = figure.add_subplot()
    if data.dim == 1:
        low, high = float(data.centres.min()) - 5 * data.std, float(data.centres.max()) + 5 * data.std
        x = np.linspace(low, high, 400)
        axis.hist(
            samples.flatten().numpy(), bins=60, range=(low, high), density=True, color=figures.GREEN, label="samples"
        )
        axis.plot(x, data.density(x), label="data", **figures.DATA)
        axis.set(xlabel="x", ylabel="density")
        axis.legend()
    else:
        limit = 1.2 * float(data.centres.abs().max()) + 3 * data.std
        x, y = data.centres.T.numpy()
        axis.scatter(x, y, s=60, facecolors="none", edgecolors="0.5", label="modes of the data")
        figures.scatter(axis, samples, title=f"{run.name}: {len(samples):,} samples", limit=limit)
        axis.legend(loc="upper right")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def npz(samples: Tensor) -> bytes:
    """An archive with the array "samples"."""

    buffer = io.BytesIO()
    np.savez_compressed(buffer, samples=samples.numpy())
    return buffer.getvalue()
