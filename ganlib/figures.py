"""What the chapters draw.

Figures stand on an opaque white ground. A dark page of the book inverts the lightness of plots and keeps their hues:
black and white change places, every other colour is still called the same. Colours are those of Okabe & Ito, told apart
by colour-blind readers; lines also differ in dash, so nothing rests on colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from ganlib import limits, tensors
from ganlib.algorithm1 import Report
from ganlib.metrics.parzen import ParzenResult

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
# Figure 1's own styles: D dashed blue, p_data dotted black, p_g solid green.
DATA: dict[str, Any] = {"color": BLACK, "linestyle": ":", "linewidth": 2.2}
MODEL: dict[str, Any] = {"color": GREEN, "linestyle": "-", "linewidth": 2.2}
CRITIC: dict[str, Any] = {"color": BLUE, "linestyle": "--", "linewidth": 2.0}

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(
        color=[BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK],
        linestyle=["-", "--", "-.", ":", (0, (5, 1)), "-"],
    ),
    "axes.titlesize": 11,
    "axes.labelsize": 10.5,
    "font.size": 10.5,
    "legend.frameon": False,
    "image.cmap": "gray",
}


def use_style() -> None:
    """Apply the book's matplotlib style to every figure drawn from now on."""
    for name, setting in STYLE.items():
        mpl.rcParams[name] = setting


def figure1(
    axis: Axes,
    x: ArrayLike,
    p_data: ArrayLike,
    p_g: ArrayLike,
    d: ArrayLike,
    z: ArrayLike,
    g_of_z: ArrayLike,
    title: str = "",
) -> None:
    """Draw one panel of Figure 1: D, p_data and p_g over x, and below them arrows from z to G(z).

    Parameters
    ----------
    axis : where to draw.
    x : (n,) grid.
    p_data, p_g : (n,) densities on it.
    d : (n,) D(x) in [0, 1].
    z, g_of_z : (a,) latents and their images; z is spread over the width of the plot.

    Raises
    ------
    TypeError, ValueError
        If ``axis`` is none of matplotlib's, or the arrays are not 1-D numbers of these lengths; only D and the
        densities may be nan, where there is nothing to draw.
    """
    limits.kind("axis", axis, Axes)
    x, z, g_of_z = limits.floats("x", x), limits.floats("z", z), limits.floats("g_of_z", g_of_z)
    p_data, p_g, d = (
        limits.floats(name, each, finite=False) for name, each in (("p_data", p_data), ("p_g", p_g), ("d", d))
    )
    for name, each in (("p_data", p_data), ("p_g", p_g), ("d", d)):
        if each.shape != x.shape or each.ndim != 1:
            raise ValueError(f"{name} is {each.shape}, x {x.shape}; give both (n,)")
    if g_of_z.shape != z.shape or z.ndim != 1:
        raise ValueError(f"g_of_z is {g_of_z.shape}, z {z.shape}; give both (a,)")
    axis.plot(x, p_data, label=r"$p_\mathrm{data}$", **DATA)
    axis.plot(x, p_g, label=r"$p_g$", **MODEL)
    axis.plot(x, d, label=r"$D$", **CRITIC)
    low, high = float(x.min()), float(x.max())
    spread = low + (z - z.min()) / max(float(np.ptp(z)), 1e-12) * (high - low)
    top, bottom = -0.12, -0.5
    axis.hlines([top, bottom], low, high, color="0.35", linewidth=0.8)
    for start, end in zip(spread, np.clip(g_of_z, low, high), strict=True):
        arrow = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", (end, top), (start, bottom), arrowprops=arrow)
    axis.text(high, bottom, " z", va="center")
    axis.text(high, top, " x", va="center")
    axis.set(xlim=(low, high), ylim=(-0.56, 1.08), yticks=[0, 0.5, 1], title=title, ylabel="density, D(x)")
    axis.spines["bottom"].set_visible(False)


def image_grid(images: Tensor, columns: int = 10, title: str = "", axis: Axes | None = None) -> Figure:
    """Draw images row by row, in the order given.

    Parameters
    ----------
    images : (n, 784), (n, 1, H, W) or (n, 3, H, W); values are mapped from [min, max] of the whole set to [0, 1].
    columns : images a row, 1 to 10,000.
    axis : where to draw; None for a new figure.

    Raises
    ------
    TypeError, ValueError
        If the images are of none of these shapes, not finite, or ``columns`` is out of range.
    """
    limits.check("columns", columns, most=limits.SEEDS)
    if axis is not None:
        limits.kind("axis", axis, Axes)
    tiles = as_tiles(images)
    n, height, width = tiles.shape[:3]
    rows = -(-n // columns)
    # Two pixels of white between images, so that dark digits do not run together.
    canvas = np.ones((rows * (height + 2) - 2, columns * (width + 2) - 2, tiles.shape[3]))
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + 2), (i % columns) * (width + 2)
        canvas[top : top + height, left : left + width] = tile
    if axis is None:
        _, axis = plt.subplots(figsize=(0.62 * columns, 0.62 * rows + (0.3 if title else 0)))
    axis.imshow(canvas.squeeze(-1) if canvas.shape[-1] == 1 else canvas, vmin=0, vmax=1, interpolation="nearest")
    axis.set_axis_off()
    axis.set_title(title)
    figure = axis.get_figure()
    assert isinstance(figure, Figure)
    return figure


def samples_with_neighbours(samples: Tensor, neighbours: Tensor, columns: int = 6, title: str = "") -> Figure:
    """Figure 2's layout: rows of samples; a last column, set apart, holds the training example nearest to the sample
    left of it.

    Parameters
    ----------
    samples : (rows * columns, ...) images, drawn at random and not picked.
    neighbours : (rows, ...) the training example nearest to the last sample of each row.

    Raises
    ------
    TypeError, ValueError
        If the numbers do not fit ``columns``, or as `image_grid`.
    """
    limits.check("columns", columns, most=limits.SEEDS)
    width = as_tiles(samples, "samples").shape[2]
    as_tiles(neighbours, "neighbours")
    if len(samples) != columns * len(neighbours):
        raise ValueError(
            f"{len(samples)} samples in rows of {columns} with {len(neighbours)} neighbours; need {columns} a row and "
            "one neighbour for each row"
        )
    rows = len(neighbours)
    # In proportion to the pixels, so that each neighbour stands at the height of its row.
    ratios = [columns * (width + 2) - 2, width]
    figure, (left, right) = plt.subplots(1, 2, figsize=(0.62 * (columns + 1.6), 0.62 * rows + 0.6), width_ratios=ratios)
    image_grid(samples, columns, title or "samples", left)
    image_grid(neighbours, 1, "nearest", right)
    for spine in right.spines.values():
        spine.set(visible=True, color="#C7A500", linewidth=2)  # the paper frames this column in yellow
    right.set_axis_on()
    right.set(xticks=[], yticks=[])
    return figure


def training_curves(reports: Sequence[Report], equilibrium: float | None = None) -> Figure:
    """Losses, and D on real and on fake, against iterations.

    Parameters
    ----------
    reports : what `ganlib.algorithm1.algorithm1` yielded.
    equilibrium : D's loss at D = 1/2, drawn as a line: log 4 for the reduction "sum", log 2 for "mean".

    Raises
    ------
    TypeError, ValueError
        If there are no reports, or ``equilibrium`` is no finite number.
    """
    limits.kind("reports", reports, Sequence)
    if not reports:
        raise ValueError("there are no reports to draw; train at least one reporting interval")
    for report in reports:
        limits.kind("each of the reports", report, Report)
    if equilibrium is not None:
        equilibrium = limits.real("equilibrium", equilibrium)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3))
    at = [r.iteration for r in reports]
    left.plot(at, [r.d_loss for r in reports], label="D's loss")
    left.plot(at, [r.g_loss for r in reports], label="G's loss")
    if equilibrium is not None:
        left.axhline(equilibrium, color="0.4", linewidth=1, linestyle=":", label="D's loss at D = 1/2")
    left.set(xlabel="iteration", ylabel="loss (nats)")
    right.plot(at, [r.d_real for r in reports], label="D(x), real")
    right.plot(at, [r.d_fake for r in reports], label="D(G(z)), fake")
    right.axhline(0.5, color="0.4", linewidth=1, linestyle=":")
    right.set(xlabel="iteration", ylabel="mean D", ylim=(0, 1))
    left.legend()
    right.legend()
    return figure


def sigma_sweep(results: Mapping[str, ParzenResult]) -> Figure:
    """Validation log-likelihood against the Parzen width, one curve for each set of kernels, the best width marked."""
    limits.kind("results", results, Mapping, "of ParzenResults by name")
    for result in results.values():
        limits.kind("each of the results", result, ParzenResult)
    figure, axis = plt.subplots(figsize=(5.2, 3.4))
    for name, result in results.items():
        (line,) = axis.plot(result.sigmas, result.sweep, label=name, marker=".")
        best = max(result.sweep)
        axis.plot(result.sigma, best, "o", color=line.get_color(), markersize=9, fillstyle="none")
    axis.set(xscale="log", xlabel="sigma (pixel units)", ylabel="mean log-likelihood, validation (nats)")
    axis.legend()
    return figure


def scatter(axis: Axes, samples: Tensor, data: Tensor | None = None, title: str = "", limit: float = 1.5) -> None:
    """Draw 2-D samples (n, 2), over data points where given, in a square of half-width ``limit`` > 0."""
    limits.kind("axis", axis, Axes)
    limit = limits.real("limit", limit, limits.POSITIVE32)
    fakes, reals = _plane("samples", samples), None if data is None else _plane("data", data)
    if reals is not None:
        x, y = reals.T
        axis.scatter(x, y, s=6, color="0.6", marker="s", linewidths=0, label="data")
    x, y = fakes.T
    axis.scatter(x, y, s=5, color=GREEN, alpha=0.6, linewidths=0, label="samples")
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[], title=title)


def _plane(name: str, points: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = tensors.real(name, points, rank=2)
    if found.shape[1:] != (2,):
        raise ValueError(f"{name} is {tuple(found.shape)}; give points in the plane, (n, 2)")
    return found.cpu().double().numpy()


def as_tiles(images: Tensor, name: str = "images") -> np.ndarray[Any, np.dtype[np.float64]]:
    """Images as an array (n, H, W, channels) in [0, 1]; see `image_grid` for the shapes and errors.

    ``name`` is what a message calls them.
    """
    images = tensors.real(name, images, rank=2)
    if images.ndim == 2 and images.shape[1] == 784:
        images = images.unflatten(1, (1, 28, 28))
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"{name} are {tuple(images.shape)}; they must be (n, 784), (n, 1, H, W) or (n, 3, H, W)")
    (images,), _ = tensors.scaled(images)  # the difference of two large numbers may be infinite
    low, high = images.min(), images.max()
    scaled = (images - low) / (high - low).clamp(min=1e-12)
    return scaled.permute(0, 2, 3, 1).cpu().double().numpy()


def block_diagram() -> Figure:
    """Draw the two players: what flows forward from z and x to V, and the ways the two gradients take back.

    Solid black arrows stand for what is computed, dashed blue for V's gradient in D's weights, dash-dotted vermilion
    for its gradient in G's weights, which passes through D and reaches no data.
    """
    figure, axis = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    axis.set(xlim=(0, 10), ylim=(0.9, 5.5))
    axis.axis("off")
    box: dict[str, Any] = {"boxstyle": "round,pad=0.6", "facecolor": "white", "linewidth": 1.8}
    places = {
        "z": (0.5, 4.1, "$z$", None),
        "G": (2.3, 4.1, "$G$", {**box, "edgecolor": VERMILION}),
        "fake": (4.4, 4.1, "$G(z)$", None),
        "data": (2.3, 1.9, "data", {**box, "edgecolor": BLACK, "boxstyle": "square,pad=0.5", "linewidth": 1.2}),
        "x": (4.4, 1.9, "$x$", None),
        "D": (6.5, 3.0, "$D$", {**box, "edgecolor": BLUE}),
        "V": (9.3, 3.0, "$V$", {**box, "edgecolor": BLACK, "linewidth": 1.2}),
    }
    words = {
        name: axis.text(x, y, text, ha="center", va="center", fontsize=15, bbox=shape, zorder=3)
        for name, (x, y, text, shape) in places.items()
    }

    bare = {"z": 12, "x": 12, "fake": 24}  # points left free around letters without a box

    def arrow(start: str, end: str, bend: float = 0.0, **style: Any) -> None:
        arrow_style = {"arrowstyle": "-|>", "mutation_scale": 15, "linewidth": 1.4, "color": BLACK, **style}
        axis.annotate(
            "", xy=places[end][:2], xytext=places[start][:2],
            arrowprops={**arrow_style, "patchA": words[start].get_bbox_patch(), "patchB": words[end].get_bbox_patch(),
                        "shrinkA": bare.get(start, 4), "shrinkB": bare.get(end, 4),
                        "connectionstyle": f"arc3,rad={bend}"},
        )  # fmt: skip

    for start, end in (("z", "G"), ("G", "fake"), ("data", "x"), ("fake", "D"), ("x", "D"), ("D", "V")):
        arrow(start, end)
    axis.text(7.85, 3.2, "$D(x),\\ D(G(z))$", ha="center", va="bottom", fontsize=11)
    back_d: dict[str, Any] = {"color": BLUE, "linestyle": (0, (4, 2)), "linewidth": 2.0}
    back_g: dict[str, Any] = {"color": VERMILION, "linestyle": (0, (5, 2, 1, 2)), "linewidth": 2.0}
    arrow("V", "D", bend=-0.45, **back_d)
    for start, end, bend in (("V", "D", 0.6), ("D", "fake", 0.5), ("fake", "G", 0.55)):
        arrow(start, end, bend=bend, **back_g)
    axis.text(7.9, 1.6, r"$+\nabla_{\theta_d} V$:  $D$ ascends", ha="center", va="center", color=BLUE, fontsize=13)
    axis.text(
        5.2, 5.2, r"$-\nabla_{\theta_g} V$:  $G$ descends, through $D$", ha="center", color=VERMILION, fontsize=13
    )
    axis.text(0.5, 3.4, r"$\sim p_z$", ha="center", va="center", fontsize=12)
    axis.text(4.4, 3.4, r"$\sim p_g$", ha="center", va="center", fontsize=12)
    axis.text(4.4, 1.2, r"$\sim p_\mathrm{data}$", ha="center", va="center", fontsize=12)
    return figure
