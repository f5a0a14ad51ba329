"""The paper's Figure 1, live: a one-dimensional pair trained in the browser, step by step or by Algorithm 1."""

from __future__ import annotations

from typing import ClassVar

import traitlets

from ganlib.widgets.base import Choice, Finite, Widget

RATES = (1e-4, 1e-1)


class Figure1Live(Widget):
    """D, p_data and p_g over x with arrows from z to G(z), as in Figure 1, while a pair trains by Algorithm 1.

    z is uniform on (0, 1); G is an MLP 1-16-16-1 of the logit of z, D one of x; both learn by Adam. The reader plays,
    or makes single steps of D or of G. Shown: V(D, G), its maximum C(G), JSD(p_data, p_g), the mean over both
    distributions of the difference of D and D*, mean D(x) and D(G(z)), and p_g's mean and standard deviation. p_g is
    computed, not sampled: G at 1,001 z evenly spaced in logit z, straight between neighbours. All but p_g's mean and
    deviation are sums over 100 cells on [-5, 5]; mass beyond them counts in the outermost. The buttons (a) to (d) train
    to the figure's four panels.

    Parameters
    ----------
    data : p_data: "gaussian", N(0, 1); "two gaussians", at -2 and 2, of standard deviation .6; "uniform" on (-2, 2).
    k, m : steps of D per iteration, 1 to 10, and examples in a minibatch, 8 to 512.
    loss : the generator's, "non-saturating" or "minimax", as in `ganlib.losses`.
    d_lr, g_lr : Adam's learning rates, in [1e-4, 1e-1]; its betas are .5 and .999.
    seed : of the first weights and of all minibatches, 0 to 99.
    pace : "slow", one iteration a frame, or "fast", as many as fit.
    optimum : whether D* is drawn.
    autoplay : whether it plays by itself while it is in view, quietly, for at most a minute in all: until the reader
        uses a control of it, and never for one who prefers reduced motion.

    Raises
    ------
    traitlets.TraitError
        If a setting is out of its range.

    Notes
    -----
    Goodfellow et al. (2014), Algorithm 1, Figure 1 and Proposition 1. New data or a new seed start a new pair; other
    settings take effect at the next step. The same seed and settings, and the same steps, give the same numbers.
    """

    module: ClassVar[str] = "figure1_live.js"
    data = Choice(("gaussian", "two gaussians", "uniform"), "gaussian", help="p_data").tag(sync=True)
    k = traitlets.Int(1, min=1, max=10, help="steps of D per iteration").tag(sync=True)
    m = traitlets.Int(128, min=8, max=512, help="examples in a minibatch").tag(sync=True)
    loss = Choice(("non-saturating", "minimax"), "non-saturating", help="the generator's").tag(sync=True)
    d_lr = Finite(5e-3, min=RATES[0], max=RATES[1], help="learning rate of D").tag(sync=True)
    g_lr = Finite(1e-3, min=RATES[0], max=RATES[1], help="learning rate of G").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=99, help="of the weights and the minibatches").tag(sync=True)
    pace = Choice(("slow", "fast"), "slow", help="iterations a frame").tag(sync=True)
    optimum = traitlets.Bool(True, help="whether D* is drawn").tag(sync=True)
    autoplay = traitlets.Bool(False, help="whether it plays by itself while in view").tag(sync=True)
