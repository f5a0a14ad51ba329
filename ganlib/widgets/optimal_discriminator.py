"""The optimal discriminator against densities of one's own: D*, C(G), the divergences and both generator gradients."""

from __future__ import annotations

from typing import Any, ClassVar

from ganlib.widgets.base import Choice, Finite, Widget

LIMIT = 5.0  # of every position
WIDTHS = (0.6, 2.0)
POINTS, EDGE = 3201, 16.0  # of the grid: no density in range loses more than 1e-7 of its mass, and none underflows


def _position(start: float, text: str) -> Any:
    return Finite(start, min=-LIMIT, max=LIMIT, help=text).tag(sync=True)


def _width(text: str) -> Any:
    return Finite(1.0, min=WIDTHS[0], max=WIDTHS[1], help=text).tag(sync=True)


def _share(text: str) -> Any:
    return Finite(0.0, min=0, max=0.9, help=text).tag(sync=True)


class OptimalDiscriminator(Widget):
    """Two densities to shape, the optimal discriminator between them, and what the generator learns from it.

    Shown for p_data and p_g: D*, V(D*, G) = C(G), the value V of a logistic D of one's own, both KL divergences, the
    JSD, and the gradient of both generator losses by a shift of p_g, D* held fixed, as in
    `ganlib.theory.generator_gradient`; JSD and gradients also as curves over the position of p_g. Integrals are sums
    over 3,201 points of [-16, 16], a cell of 0.01, as in `ganlib.theory`; in nats.

    Parameters
    ----------
    kind : "gaussian", or "uniform": densities that are zero outside an interval.
    data_at, model_at : position of the (first) hump of p_data and p_g, in [-5, 5].
    data_width, model_width : standard deviation of each hump, or half the length of each interval, in [.6, 2].
    data_share, model_share : weight of a second hump of the same width, in [0, .9]; 0 for none.
    data_second, model_second : the second hump's position, in [-5, 5].
    level : the own D's value at x = 0, in [.01, .99].
    slope : slope of the own D's logit, in [-4, 4]: D(x) = sigmoid(logit(level) + slope x); 0 for a constant D.

    Raises
    ------
    traitlets.TraitError
        If a setting is out of its range.

    Notes
    -----
    Goodfellow et al. (2014), section 4.1, for D* and C(G), section 3 for the two losses. Arjovsky & Bottou (2017) for
    the gradients and for disjoint supports. Uniform densities have no gradient here: D* jumps, or is not defined.
    """

    module: ClassVar[str] = "optimal_discriminator.js"
    kind = Choice(("gaussian", "uniform"), "gaussian", help="form of every hump").tag(sync=True)
    data_at = _position(-1.0, "position of p_data")
    data_width = _width("width of p_data's humps")
    data_share = _share("weight of p_data's second hump")
    data_second = _position(2.0, "position of p_data's second hump")
    model_at = _position(1.0, "position of p_g")
    model_width = _width("width of p_g's humps")
    model_share = _share("weight of p_g's second hump")
    model_second = _position(3.0, "position of p_g's second hump")
    level = Finite(0.5, min=0.01, max=0.99, help="the own D at x = 0").tag(sync=True)
    slope = Finite(0.0, min=-4, max=4, help="slope of the own D's logit").tag(sync=True)
