"""A GAN in the plane: ring, grid, spiral, moons or one's own drawing, with the learned D beside D*."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import traitlets as t

from ganlib.toys import Mixture, grid, ring
from ganlib.widgets.base import Choice, Finite, Widget

EDGE = 1.8  # the plane is the square from -EDGE to EDGE
MOST_POINTS = 150


class Playground(Widget):
    """Algorithm 1 on two-dimensional data, live in the browser: D as a map, samples, gradients, modes, JSD and D*.

    D is a multilayer perceptron with logit output, G one whose output o becomes the sample 1.8 tanh(o / 1.8), so that
    none leaves the picture. Both have two hidden layers of tanh units and are trained by Adam (beta1 0.5, beta2 0.999)
    on fresh minibatches, in double precision. All data are mixtures of Gaussians of one width (`mixture`), so their
    density is known.

    Parameters
    ----------
    data : "ring" (8 modes), "grid" (25), "spiral", "moons", or "drawn": a Gaussian at each of ``points``.
    points : what is drawn, up to 150 pairs (x, y) in [-1.8, 1.8].
    k, g_steps : updates of D (0 to 20) and of G (0 to 50) in an iteration; 0 holds that player still.
    loss : of the generator: "non-saturating" or "minimax", as in `ganlib.losses`.
    d_lr, g_lr : learning rates of D and G, 1e-4 to 0.1.
    m : minibatch size: 16, 32, 64, 128, 256 or 512.
    hidden : units of each hidden layer: 8, 16 or 32.
    latent : dimensions of z ~ N(0, 1): 1, 2, 4 or 8.
    critic : what G learns from: the "learned" D, or "optimal", D* for the present p_g.
    perfect : G is replaced by the data itself. The JSD is then 0.
    seed : of every random number, 0 to 99.

    Raises
    ------
    traitlets.TraitError
        If a setting is not one of these; the message names the value and what is allowed.

    Notes
    -----
    Every number is computed from 4,096 samples at latents the seed fixes, and as many stored data points. JSD: of the
    two histograms over 16 x 16 cells and the outside, in nats; beside it the JSD of two sets of data, which is what
    finite samples of a perfect generator would show. Covered modes: the rule of `ganlib.metrics.modes.count_modes` with
    its own minimum share. D*(x) = p_data / (p_data + p_g) with p_g a kernel estimate (Gaussian of width 0.1) from the
    first 1,024 samples and p_data, known exactly, blurred by the same kernel. Proposition 1, Algorithm 1.
    """

    module: ClassVar[str] = "playground.js"
    data = Choice(["ring", "grid", "spiral", "moons", "drawn"], "ring", help="what p_data is").tag(sync=True)
    points = t.List(
        t.Tuple(Finite(min=-EDGE, max=EDGE), Finite(min=-EDGE, max=EDGE)),
        maxlen=MOST_POINTS,
        help="drawn points, pairs (x, y)",
    ).tag(sync=True)
    k = t.Int(1, min=0, max=20, help="updates of D an iteration").tag(sync=True)
    g_steps = t.Int(1, min=0, max=50, help="updates of G an iteration").tag(sync=True)
    loss = Choice(["non-saturating", "minimax"], "non-saturating", help="loss of G").tag(sync=True)
    d_lr = Finite(0.005, min=1e-4, max=0.1, help="learning rate of D").tag(sync=True)
    g_lr = Finite(0.002, min=1e-4, max=0.1, help="learning rate of G").tag(sync=True)
    m = Choice([16, 32, 64, 128, 256, 512], 128, help="minibatch size").tag(sync=True)
    hidden = Choice([8, 16, 32], 16, help="units of each of two hidden layers").tag(sync=True)
    latent = Choice([1, 2, 4, 8], 2, help="dimensions of z").tag(sync=True)
    critic = Choice(["learned", "optimal"], "learned", help="what G learns from: the learned D, or D*").tag(sync=True)
    perfect = t.Bool(False, help="G is the data itself").tag(sync=True)
    seed = t.Int(0, min=0, max=99, help="of every random number").tag(sync=True)

    @property
    def mixture(self) -> Mixture:
        """The data as `ganlib.toys` knows it, with its density and its modes.

        Raises
        ------
        ValueError
            If ``data`` is "drawn" and nothing is drawn.
        """
        if self.data == "ring":
            return ring(std=0.08)
        if self.data == "grid":
            return grid(spacing=0.5, std=0.06)
        if self.data == "spiral":
            turns = [(0.15 + 1.05 * i / 47, 3.5 * math.pi * i / 47) for i in range(48)]
            return Mixture("spiral", torch.tensor([[r * math.cos(a), r * math.sin(a)] for r, a in turns]), 0.06)
        if self.data == "moons":
            arc = [(0.8 * math.cos(math.pi * i / 15), 0.8 * math.sin(math.pi * i / 15)) for i in range(16)]
            centres = [(x - 0.4, y - 0.2) for x, y in arc] + [(0.4 - x, 0.2 - y) for x, y in arc]
            return Mixture("two moons", torch.tensor(centres), 0.07)
        if not self.points:
            raise ValueError("nothing is drawn, so there is no p_data: give points, or draw some in the widget")
        return Mixture("drawing", torch.tensor(self.points), 0.06)
