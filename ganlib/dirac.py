"""The Dirac-GAN (Mescheder, Geiger & Nowozin, 2018): the smallest GAN, on which convergence can be watched.

p_data is a point at 0, p_g a point at theta, and D's logit *for fake* is psi x. With f(t) = -log(1 + exp(-t)), the log
of the sigmoid, the game is V = f(psi theta) + f(0): D ascends in psi, G descends in theta. The only equilibrium is
(0, 0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def slope(t: float) -> float:
    """f'(t) = sigmoid(-t), for f(t) = -log(1 + exp(-t)); in (0, 1)."""
    return 1 / (1 + math.exp(t)) if t < 500 else math.exp(-t)


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
    steps : updates of each player.
    lr : step size of both.
    gamma : weight of the R1 penalty (gamma / 2) psi^2, the squared gradient of D's logit at the data point; 0 for none.
    alternating : G moves second and sees D's new psi, as in Algorithm 1; otherwise both move from the same point.

    Returns
    -------
    array
        (steps + 1, 2): theta and psi, the start included.

    Raises
    ------
    ValueError
        If ``steps`` is below 1, ``lr`` not positive or ``gamma`` negative.

    Notes
    -----
    Radius after 2000 steps from (1, 1): simultaneous updates move away from the equilibrium, alternating ones keep
    circling it, R1 brings both in.

    Examples
    --------
    >>> round(float(np.hypot(*trajectory()[-1])), 2)
    3.1
    """
    if steps < 1 or not lr > 0 or gamma < 0:
        raise ValueError(f"steps {steps}, lr {lr}, gamma {gamma}: need steps >= 1, lr > 0, gamma >= 0")
    path = np.empty((steps + 1, 2))
    path[0] = theta, psi = start
    for i in range(1, steps + 1):
        new_psi = psi + lr * (slope(theta * psi) * theta - gamma * psi)
        seen = new_psi if alternating else psi
        theta, psi = theta - lr * slope(theta * seen) * seen, new_psi
        path[i] = theta, psi
    return path
