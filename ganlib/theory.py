"""The paper's quantities as numbers: KL, JSD, V(D, G), D*, C(G) and the generator's gradients (sections 3 and 4).

Every function takes a pair of arrays of the same shape. With ``cell=1`` (the default) they are probabilities over a
finite set; with ``cell`` = the volume of one grid cell they are densities on a uniform grid of any dimension and sums
become Riemann sums. All results are in nats. Of a tensor only the numbers are taken, not its graph. What is no array of
real numbers is a TypeError. The symbolic counterpart is `ganlib.proofs`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlib import limits

Array = NDArray[np.float64]

LOG2 = float(np.log(2.0))
LOG4 = float(np.log(4.0))
# A grid that cuts off more mass than this gives wrong integrals without looking wrong.
MASS_TOLERANCE = 1e-6
# Of a density: times its logarithm it must still be a float.
LARGEST = 1e300


def normalise(p: ArrayLike, cell: float = 1.0) -> Array:
    """Scale non-negative weights so that they sum (times ``cell``) to one.

    Parameters
    ----------
    p : array of any shape, values >= 0, not all zero.
    cell : volume of one grid cell, > 0; 1 for a discrete distribution.

    Raises
    ------
    ValueError
        If a value is negative or not finite, or if all are zero.

    Examples
    --------
    >>> normalise([1, 1, 2])
    array([0.25, 0.25, 0.5 ])
    """
    p, cell = _non_negative(p, "p"), _positive_cell(cell)
    largest = p.max()
    if largest == 0:
        raise ValueError("p is zero everywhere: there is nothing to normalise; give at least one positive value")
    if not 1e-200 < largest < 1e200:  # the sum of large values may be infinite, that of denormal ones has few digits
        p = np.ldexp(p, -int(np.frexp(largest)[1]))  # a power of two changes no digit
    with np.errstate(over="ignore"):
        mass = p.sum() * cell
        scaled: Array = p / mass if 1e-290 < mass < 1e290 else p / p.sum() / cell
    if scaled.max() > LARGEST:
        raise ValueError(f"cell is {cell}: densities on cells so small leave the floats; choose another unit of length")
    return scaled


def kl(p: ArrayLike, q: ArrayLike, cell: float = 1.0) -> float:
    """Kullback-Leibler divergence KL(p || q), in nats, in [0, inf].

    Parameters
    ----------
    p, q : arrays of one shape, each >= 0 and summing (times ``cell``) to one.
    cell : volume of one grid cell, > 0; 1 for a discrete distribution.

    Raises
    ------
    ValueError
        If shapes differ, or an argument is negative, not finite or not normalised.

    Notes
    -----
    0 log 0 = 0; the result is inf when p has mass where q has none. Not symmetric. Paper, section 4.1.

    Examples
    --------
    >>> round(kl([0.5, 0.5], [0.25, 0.75]), 4)
    0.1438
    >>> kl([0.5, 0.5], [1.0, 0.0])
    inf
    """
    p, q = _pair(p, q, cell)
    return _kl(p, q, cell)


def jsd(p: ArrayLike, q: ArrayLike, cell: float = 1.0) -> float:
    """Jensen-Shannon divergence JSD(p || q), in nats, in [0, log 2].

    0 exactly when p = q, log 2 when the supports are disjoint. Arguments and errors as in `kl`. Paper, section 4.1.

    Examples
    --------
    >>> jsd([0.5, 0.5], [0.5, 0.5])
    0.0
    >>> round(jsd([1.0, 0.0], [0.0, 1.0]), 6)
    0.693147
    """
    p, q = _pair(p, q, cell)
    mixture = (p + q) / 2
    # Rounding can push a divergence of equal distributions a few ulp below zero, or past log 2.
    return float(np.clip((_kl(p, mixture, cell) + _kl(q, mixture, cell)) / 2, 0.0, LOG2))


def optimal_discriminator(p_data: ArrayLike, p_g: ArrayLike, off_support: float = np.nan) -> Array:
    """D*(x) = p_data(x) / (p_data(x) + p_g(x)), in [0, 1] (Proposition 1).

    Parameters
    ----------
    p_data, p_g : arrays of one shape, >= 0. Only their ratio matters, so they need not be normalised.
    off_support : number to return where both are zero. There the value function does not see D, so the proposition
        leaves D* open; nan (the default) says so.

    Raises
    ------
    ValueError
        If shapes differ or a value is negative or not finite.

    Examples
    --------
    >>> optimal_discriminator([0.3, 0.0, 0.0], [0.9, 1.0, 0.0])
    array([0.25, 0.  ,  nan])
    """
    p_data, p_g = _same_shape(_non_negative(p_data, "p_data"), _non_negative(p_g, "p_g"), ("p_data", "p_g"))
    limits.kind("off_support", off_support, (float, int))
    if max(p_data.max(), p_g.max()) > 1e300:  # their sum would be infinite
        p_data, p_g = p_data / 4, p_g / 4
    total = p_data + p_g
    return np.where(total > 0, p_data / np.where(total > 0, total, 1.0), off_support)


def value(d: ArrayLike, p_data: ArrayLike, p_g: ArrayLike, cell: float = 1.0) -> float:
    """V(D, G) = E_{x~p_data} log D(x) + E_{x~p_g} log(1 - D(x)), in nats, in [-inf, 0] (equation 1).

    Parameters
    ----------
    d : array of probabilities in [0, 1], the shape of the densities; nan is allowed where both densities are zero.
    p_data, p_g : arrays, each >= 0 and summing (times ``cell``) to one.
    cell : volume of one grid cell, > 0; 1 for a discrete distribution.

    Raises
    ------
    ValueError
        If shapes differ, d leaves [0, 1], or a density is negative, not finite or not normalised.

    Notes
    -----
    The second expectation is over G(z), z ~ p_z, in the paper; p_g is by definition the law of G(z).

    Examples
    --------
    >>> round(value([0.5, 0.5], [0.5, 0.5], [0.5, 0.5]), 6)  # -log 4
    -1.386294
    """
    p_data, p_g = _pair(p_data, p_g, cell, names=("p_data", "p_g"))
    d = limits.floats("d", d, finite=False)
    if d.shape != p_data.shape:
        raise ValueError(f"d has shape {d.shape}, the densities {p_data.shape}: evaluate D on the same grid")
    seen = (p_data > 0) | (p_g > 0)
    bad = seen & ~((d >= 0) & (d <= 1))
    if bad.any():
        raise ValueError(f"d holds {d[bad][0]}: a discriminator outputs a probability in [0, 1] (did you pass logits?)")
    with np.errstate(divide="ignore"):
        real = _xlogy(p_data, d).sum()
        fake = _xlogy(p_g, 1 - d).sum()
    return float((real + fake) * cell)


def cost(p_data: ArrayLike, p_g: ArrayLike, cell: float = 1.0) -> float:
    """C(G) = max_D V(D, G) = V(D*, G) = -log 4 + 2 JSD(p_data || p_g), in nats, in [-log 4, 0] (Theorem 1).

    Computed from its definition, by putting D* into V: that it equals the right-hand side is a theorem, which the
    tests check. Arguments and errors as in `kl`. The logarithms are taken of the densities: D* itself rounds to 1 where
    p_g is small but positive, and log(1 - D*) would then be -inf.

    Examples
    --------
    >>> round(cost([0.5, 0.5], [0.5, 0.5]), 6)  # -log 4: the generator is perfect
    -1.386294
    >>> cost([1.0, 0.0], [0.0, 1.0])  # disjoint supports: D* is always right
    0.0
    """
    p_data, p_g = _pair(p_data, p_g, cell, names=("p_data", "p_g"))
    total = p_data + p_g
    log_d_star = _xlogy(p_data, p_data) - _xlogy(p_data, total)
    log_one_minus_d_star = _xlogy(p_g, p_g) - _xlogy(p_g, total)
    # At disjoint supports the sum is 0 up to rounding, which may be on the wrong side.
    return min(float((log_d_star + log_one_minus_d_star).sum() * cell), 0.0)


def generator_gradient(
    p_data: ArrayLike,
    p_g: ArrayLike,
    x: ArrayLike,
    loss: Literal["minimax", "non-saturating"] = "minimax",
) -> float:
    """Gradient of the generator's loss when it shifts p_g to the right, with D = D* held fixed.

    Parameters
    ----------
    p_data, p_g : densities on ``x``, > 0 everywhere on it, each summing to one.
    x : uniform increasing 1-D grid, at least three points.
    loss : "minimax" for E log(1 - D*(x)), which saturates, or "non-saturating" for E[-log D*(x)] (section 3).

    Returns
    -------
    float
        d/ds at s = 0 of E_{x ~ p_g(x - s)} of the loss, in nats per unit of x. Gradient *descent* moves p_g by
        minus this.

    Raises
    ------
    ValueError
        If the grid is not uniform, a density is zero somewhere (D* is then 0 or 1 and has no finite logit: the
        gradients are 0 and infinite), or ``loss`` is neither name.

    Notes
    -----
    E_{p_g}[d/dx loss(D*(x))], with the logit log p_data - log p_g differentiated by second-order differences (exact
    where it is quadratic, as for Gaussians). The two gradients differ by the expected slope of the logit: one has
    weight D*, the other 1 - D*. Arjovsky & Bottou (2017), section 2.

    Examples
    --------
    >>> x = np.linspace(-12, 16, 28001)
    >>> normal = lambda m: normalise(np.exp(-((x - m) ** 2) / 2), x[1] - x[0])
    >>> [round(generator_gradient(normal(0), normal(4), x, loss), 3) for loss in ("minimax", "non-saturating")]
    [0.137, 3.863]
    """
    limits.one_of("loss", loss, ("minimax", "non-saturating"))
    x = limits.floats("x", x)
    steps = np.diff(x / 2) if x.ndim == 1 else x  # halved: the difference of two floats may be none
    cell = 2 * float(steps[0]) if x.ndim == 1 and x.size >= 3 else 0.0
    rounding = 4 * np.finfo(np.float64).eps * np.abs(x).max()
    if not 0 < cell < np.inf or not np.allclose(2 * steps, cell, atol=rounding):
        raise ValueError(f"x (shape {x.shape}) is not a uniform increasing 1-D grid of at least three points")
    p_data, p_g = _pair(p_data, p_g, cell, names=("p_data", "p_g"))
    if p_data.shape != x.shape:
        raise ValueError(f"the densities have shape {p_data.shape}, the grid {x.shape}: evaluate them on x")
    for name, p in (("p_data", p_data), ("p_g", p_g)):
        if (p == 0).any():
            raise ValueError(f"{name} is 0 at x = {x[p == 0][0]:g}: D* has no finite logit there; narrow the grid")
    slope = np.gradient(np.log(p_data) - np.log(p_g), x, edge_order=2)
    d = optimal_discriminator(p_data, p_g)
    weight = d if loss == "minimax" else 1 - d
    return float(-(p_g * weight * slope).sum() * cell)


def _kl(p: Array, q: Array, cell: float) -> float:
    with np.errstate(divide="ignore"):
        return max(float((_xlogy(p, p) - _xlogy(p, q)).sum() * cell), 0.0)


def _xlogy(x: Array, y: Array) -> Array:
    """x log y with 0 log y = 0 for every y, nan and 0 included."""
    return np.where(x > 0, x * np.log(np.where(x > 0, y, 1.0)), 0.0)


def _non_negative(p: ArrayLike, name: str) -> Array:
    array = limits.floats(name, p, finite=False)
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        raise ValueError(f"{name} holds {array[bad][0]}; probabilities and densities are finite and >= 0")
    return array


def _positive_cell(cell: float) -> float:
    return limits.real("cell", cell, "(0, inf)")  # the volume of one grid cell; 1 for probabilities


def _same_shape(p: Array, q: Array, names: tuple[str, str]) -> tuple[Array, Array]:
    if p.shape != q.shape:
        raise ValueError(f"{names[0]} is {p.shape}, {names[1]} {q.shape}; evaluate both on the same points")
    return p, q


def _pair(p: ArrayLike, q: ArrayLike, cell: float, names: tuple[str, str] = ("p", "q")) -> tuple[Array, Array]:
    cell = _positive_cell(cell)
    checked = []
    for given, name in ((p, names[0]), (q, names[1])):
        array = _non_negative(given, name)
        if array.max() > LARGEST:
            raise ValueError(f"{name} holds {array.max()}; above {LARGEST:g} its logarithm's mean leaves the floats")
        with np.errstate(over="ignore"):
            mass = float(array.sum() * cell)
        if abs(mass - 1) > MASS_TOLERANCE:
            raise ValueError(
                f"{name} sums to {mass:.7g}, not 1: pass cell (the grid's cell volume) for a density, widen the grid "
                "if it cuts off mass, or use ganlib.theory.normalise"
            )
        checked.append(array)
    return _same_shape(checked[0], checked[1], names)
