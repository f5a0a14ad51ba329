"""Figures draw what they are given: pixels, line styles and labels are read back from the drawing."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.text import Annotation

mpl.use("Agg")
import matplotlib.pyplot as plt

from ganlib import figures, toys
from ganlib.algorithm1 import Report
from ganlib.metrics.parzen import ParzenResult


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_figure1_uses_the_papers_line_styles():
    x = np.linspace(-3, 3, 50)
    _, axis = plt.subplots()
    figures.figure1(axis, x, x * 0 + 0.1, x * 0 + 0.2, x * 0 + 0.5, np.linspace(0, 1, 7), np.linspace(-1, 1, 7))
    styles = {line.get_label(): (line.get_linestyle(), line.get_color()) for line in axis.get_lines()}
    assert styles[r"$p_\mathrm{data}$"] == (":", figures.BLACK)
    assert styles["$p_g$"] == ("-", figures.GREEN)
    assert styles["$D$"] == ("--", figures.BLUE)
    arrows = [a for a in axis.texts if getattr(a, "arrow_patch", None)]
    assert [a.xy[0] for a in arrows] == pytest.approx(np.linspace(-1, 1, 7))


@pytest.mark.parametrize("shape", [(7, 784), (7, 1, 28, 28), (7, 3, 32, 32)])
def test_image_grid_shows_every_image_where_it_should_be(shape):
    images = torch.rand(shape)
    figure = figures.image_grid(images, columns=3)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    side = 28 if shape[-1] in (784, 28) else 32
    last = figures.as_tiles(images)[6].squeeze()
    np.testing.assert_allclose(shown[2 * (side + 2) : 2 * (side + 2) + side, :side], last)
    assert 0 <= shown.min() <= shown.max() <= 1


def test_samples_with_neighbours_sets_the_last_column_apart():
    figure = figures.samples_with_neighbours(torch.rand(12, 784), torch.rand(2, 784), columns=6)
    assert [axis.get_title() for axis in figure.axes] == ["samples", "nearest"]
    figure.draw_without_rendering()
    heights = [axis.get_window_extent().height for axis in figure.axes]
    assert heights[0] == pytest.approx(heights[1], rel=0.02)  # each neighbour at the height of its row
    with pytest.raises(ValueError, match="12 samples"):
        figures.samples_with_neighbours(torch.rand(12, 784), torch.rand(3, 784), columns=6)


def test_training_curves_draw_the_reports():
    reports = [Report(10 * i, 1.0 + i, 2.0, 0.7, 0.3) for i in range(1, 4)]
    left, right = figures.training_curves(reports, equilibrium=1.386).axes
    assert left.get_lines()[0].get_ydata() == pytest.approx([2, 3, 4])
    assert left.get_lines()[0].get_xdata() == pytest.approx([10, 20, 30])
    assert right.get_lines()[1].get_ydata() == pytest.approx([0.3] * 3)
    with pytest.raises(ValueError, match="no reports"):
        figures.training_curves([])


def test_sigma_sweep_marks_the_best_width():
    result = ParzenResult(0.2, 5.0, 0.1, (0.1, 0.2, 0.4), (-3.0, 6.0, 2.0), 10, 10, 10)
    axis = figures.sigma_sweep({"model": result}).axes[0]
    assert axis.get_lines()[0].get_ydata() == pytest.approx([-3, 6, 2])
    assert [float(v[0]) for v in axis.get_lines()[1].get_data()] == [0.2, 6.0]


def test_scatter_draws_all_samples():
    _, axis = plt.subplots()
    points = toys.ring().minibatch(50, torch.Generator().manual_seed(0))
    figures.scatter(axis, points, points[:10])
    assert [len(c.get_offsets()) for c in axis.collections] == [10, 50]


def test_in_the_block_diagram_ds_gradient_reaches_d_and_gs_passes_through_d_to_g():
    axis = figures.block_diagram().axes[0]
    places = {text.get_text(): text.get_position() for text in axis.texts if text.get_text()}
    names = {tuple(map(float, place)): name for name, place in places.items()}
    ways = {}
    for arrow in (text for text in axis.texts if isinstance(text, Annotation)):
        style = arrow.arrowprops
        colour = style.get("color", figures.BLACK)
        ways.setdefault(colour, []).append(tuple(names[tuple(map(float, at))] for at in (arrow.xyann, arrow.xy)))
    fake, data = "$G(z)$", "data"
    forward = [("$z$", "$G$"), ("$G$", fake), (data, "$x$"), (fake, "$D$"), ("$x$", "$D$"), ("$D$", "$V$")]
    assert ways[figures.BLACK] == forward
    assert ways[figures.BLUE] == [("$V$", "$D$")]
    assert ways[figures.VERMILION] == [("$V$", "$D$"), ("$D$", fake), (fake, "$G$")]  # none to x or the data


def test_style_is_opaque_white_and_uses_dashes_with_colours():
    figures.use_style()
    assert mpl.rcParams["figure.facecolor"] == mpl.rcParams["savefig.facecolor"] == "white"
    styles = list(mpl.rcParams["axes.prop_cycle"])
    assert len({s["color"] for s in styles}) == len(styles)
    assert len({str(s["linestyle"]) for s in styles}) >= len(styles) - 1


def luminance(colour):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
    return np.dot([0.2126, 0.7152, 0.0722], channels)


def test_lines_have_contrast_on_the_figures_ground():
    """WCAG 1.4.11 asks 3:1 for graphics; the lighter colours of the palette are left for areas and markers."""
    for colour in (figures.BLACK, figures.GREEN, figures.BLUE, figures.VERMILION):
        assert 1.05 / (luminance(colour) + 0.05) >= 3


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 10\)"):
        figures.as_tiles(torch.zeros(3, 10))
