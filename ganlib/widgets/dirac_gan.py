"""The Dirac-GAN's phase portrait, to walk along: simultaneous and alternating updates, with and without R1."""

from __future__ import annotations

from typing import ClassVar

import traitlets

from ganlib.widgets.base import Choice, Finite, Widget

STEPS = 2000  # of a path


class DiracGan(Widget):
    """Two runs of the Dirac-GAN from one start: paths in the plane of theta and psi, and the distance from (0, 0).

    Both paths are those of `ganlib.dirac.trajectory`, 2,000 steps long. The start can be dragged. Shown for the step
    chosen: theta, psi, the radius, D at the generator's point and the value V; and the largest modulus of the
    eigenvalues of one step's Jacobian at the equilibrium: above 1 it pushes away, below 1 it pulls in.

    Parameters
    ----------
    theta, psi : the start, in [-3, 3]: the generator's point, and the slope of D's logit for fake.
    lr : step size h of both players, in [.01, .5].
    method : of the first run: "simultaneous" or "alternating" updates.
    gamma : its weight of the R1 penalty, in [0, 3].
    other : the second run's method, or "none".
    other_gamma : its weight of R1.
    step : how far along the paths, 0 to 2000.

    Raises
    ------
    traitlets.TraitError
        If a setting is out of its range.

    Notes
    -----
    Mescheder, Geiger & Nowozin (2018), "Which training methods for GANs do actually converge?", for the model and R1.
    """

    module: ClassVar[str] = "dirac_gan.js"
    theta = Finite(1.0, min=-3, max=3, help="start of the generator's point").tag(sync=True)
    psi = Finite(1.0, min=-3, max=3, help="start of the discriminator's slope").tag(sync=True)
    lr = Finite(0.1, min=0.01, max=0.5, help="step size of both players").tag(sync=True)
    method = Choice(("simultaneous", "alternating"), "simultaneous", help="first run").tag(sync=True)
    gamma = Finite(0.0, min=0, max=3, help="first run's weight of R1").tag(sync=True)
    other = Choice(("none", "simultaneous", "alternating"), "alternating", help="second run").tag(sync=True)
    other_gamma = Finite(0.0, min=0, max=3, help="second run's weight of R1").tag(sync=True)
    step = traitlets.Int(1200, min=0, max=STEPS, help="how far along the paths").tag(sync=True)
