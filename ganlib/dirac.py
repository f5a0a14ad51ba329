"""The Dirac-GAN (Mescheder, Geiger & Nowozin, 2018): the smallest GAN, on which convergence can be watched.

p_data is a point at 0, p_g a point at theta, and D's logit *for fake* is psi x. With f(t) = -log(1 + exp(-t)), the log
of the sigmoid, the game is V = f(psi theta) + f(0): D ascends in psi, G descends in theta. The only equilibrium is
(0, 0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ganlib import limits

LONGEST = 10**8  # path: it is kept whole


def slope(t: float) -> float:
    """f'(t) = sigmoid(-t), for f(t) = -log(1 + exp(-t)); in (0, 1)."""
    return _slope(limits.real("t", t))


def trajectory(
    steps: int = 2000,
    *,
    lr: float = 0.1,
    gamma: float = 0.0,
    alternating: bool = False,
    start: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float64]:
    """Follow gradient descent-ascent from ``start`` = (theta, psi).

    Parameters
    ----------
    steps : updates of each player, 1 to 10^8.
    lr : step size of both, > 0.
    gamma : weight of the R1 penalty (gamma / 2) psi^2, the squared gradient of D's logit at the data point; 0 for none.
    alternating : G moves second and sees D's new psi, as in Algorithm 1; otherwise both move from the same point.
    start : theta and psi at first, finite.

    Returns
    -------
    array
        (steps + 1, 2): theta and psi, the start included.

    Raises
    ------
    ValueError
        If ``steps`` is below 1, ``lr`` not positive, ``gamma`` negative, ``start`` no pair of finite numbers, or the
        path leaves the floats.

    Notes
    -----
    Radius after 2000 steps from (1, 1): simultaneous updates move away from the equilibrium, alternating ones keep
    circling it, R1 brings both in.

    Examples
    --------
    >>> round(float(np.hypot(*trajectory()[-1])), 2)
    3.1
    """
    limits.check("steps", steps, most=LONGEST)
    lr, gamma = limits.real("lr", lr, "(0, inf)"), limits.real("gamma", gamma, "[0, inf)")
    limits.flag("alternating", alternating)
    if not isinstance(start, tuple | list | np.ndarray) or np.ndim(start[:0]) != 1 or len(start) != 2:
        raise ValueError(f"start is {limits.shown(start)}; give theta and psi, two numbers")
    theta, psi = (limits.real("start", each) for each in start)
    path = np.empty((steps + 1, 2))
    path[0] = theta, psi
    for i in range(1, steps + 1):
        new_psi = psi + lr * (_slope(theta * psi) * theta - gamma * psi)
        seen = new_psi if alternating else psi
        theta, psi = theta - lr * _slope(theta * seen) * seen, new_psi
        path[i] = theta, psi
        if not (math.isfinite(theta) and math.isfinite(psi)):
            raise ValueError(f"lr {lr} and gamma {gamma}: the path leaves the floats at step {i}; give a smaller lr")
    return path


def _slope(t: float) -> float:
    return 1 / (1 + math.exp(t)) if t < 500 else math.exp(-t)
