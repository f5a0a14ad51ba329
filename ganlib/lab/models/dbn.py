"""A deep belief network with two hidden layers: a restricted Boltzmann machine on the hidden units of another.

p(v) is the sum over h1 of p(v | h1) p(h1): p(v | h1) is the lower machine's conditional distribution, and p(h1) the
upper machine's distribution of its visible units. The lower machine's own p(h1) is no part of the model: the upper one
stands in its place, and is trained on hidden units of data (Hinton, Osindero & Teh, 2006). Table 1 of the paper quotes
such a network from Bengio, Mesnil, Dauphin & Rifai (2013); its layers' sizes are not known to us.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ganlib import limits, tensors
from ganlib.lab.models.learning import Learning
from ganlib.lab.models.rbm import RBM, draw


class PersistentContrast(Learning):
    """Persistent contrastive divergence (Tieleman, 2008) of one machine, its rate falling linearly to 0.

    An update sees m images, moves the m chains by one Gibbs step, and adds the rate times the difference of their
    statistics. Each time an image is seen its pixels are drawn anew, 1 with their grey values as probabilities. The
    units are binary, and so are the states of the chains that images are compared with; drawn in this way, the average
    image is the grey one, so that the model's means can be compared with grey images, and no one binarised copy of the
    data is learnt by heart. A threshold would turn grey edges into sharp ones.

    The mean that `advance` gives is of the free energy of the images less that of the chains, in nats: no likelihood,
    but what the updates lower.

    Parameters
    ----------
    rbm : trained in place.
    data : (n, visible) in [0, 1], in the machine's number format and on its device, n >= m.
    epochs : in which the rate falls, >= 1; there is no training beyond them.
    lr : rate of the first update, in (0, 1e30].
    m : images an update, and chains, >= 1. The chains start at fair coins.
    seed : of the order, the drawn pixels and the chains' moves.

    Raises
    ------
    TypeError, ValueError
        If a number is impossible or the data do not fit.
    """

    def __init__(self, rbm: RBM, data: Tensor, *, epochs: int, lr: float = 0.05, m: int = 100, seed: int = 0) -> None:
        limits.kind("rbm", rbm, RBM)
        super().__init__(rbm, data, m=m, seed=seed)
        tensors.fits("data", data, rbm.weight, len(rbm.visible_bias))
        self.rbm = rbm
        self.epochs = limits.check("epochs", epochs, most=limits.STEPS)
        self.lr = limits.real("lr", lr, "(0, 1e30]")
        self.chains = draw(rbm.visible_bias.new_full((m, len(rbm.visible_bias)), 0.5), self.rng)

    def advance(self, updates: int) -> float:
        """Make updates; see `Learning.advance`.

        Raises
        ------
        ValueError
            If they are more than are left of the epochs.
        Diverged
            If afterwards the mean or a weight is not finite.
        """
        limits.check("updates", updates)
        left = self.epochs * self.epoch_length - self.done
        if updates > left:
            raise ValueError(f"updates is {limits.shown(updates)}, and {left} are left of {self.epochs} epochs")
        return super().advance(updates)

    @torch.no_grad()
    def update(self, batch: Tensor) -> Tensor:
        """One step on a minibatch (m, visible); gives its mean free energy less that of the chains."""
        tensors.fits("batch", batch, self.data, *self.data.shape[1:])
        v = draw(batch, self.rng)
        self.chains.copy_(self.rbm.gibbs(self.chains, 1, self.rng))
        self.rbm.climb(v, self.chains, self.lr * (1 - self.done / (self.epochs * self.epoch_length)))
        return self.rbm.free_energy(v).mean() - self.rbm.free_energy(self.chains).mean()

    def own(self) -> dict[str, Tensor]:
        """The chains' states."""
        return {"chains": self.chains}


class DBN(nn.Module):
    """A deep belief network with two hidden layers.

    It is trained greedily, each machine by `PersistentContrast`: ``first`` on images, then ``second`` on what `begin`
    makes of them, with ``first`` as it then is.

    Parameters
    ----------
    visible : number of pixels, >= 1.
    hidden : numbers of units of the two hidden layers, from below, >= 1.
    means : of the pixels, (visible,) in [0, 1], or None; see `ganlib.lab.models.rbm.RBM`.
    seed : of the initial weights of both machines.

    Raises
    ------
    TypeError, ValueError
        If a number is not positive, there are not two hidden layers, ``means`` has another shape or range, or the seed
        is none of torch's.

    Examples
    --------
    >>> dbn = DBN(4, (3, 2))
    >>> [tuple(machine.weight.shape) for machine in (dbn.first, dbn.second)]
    [(4, 3), (3, 2)]
    """

    def __init__(
        self, visible: int, hidden: Sequence[int] = (1000, 1000), means: Tensor | None = None, *, seed: int = 0
    ) -> None:
        super().__init__()
        if not isinstance(hidden, tuple | list) or len(hidden) != 2:
            raise ValueError(f"hidden is {limits.shown(hidden)}; give two numbers of units, such as (1000, 1000)")
        below, above = (limits.check("hidden", units) for units in hidden)
        seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
        # A seed of its own: with the same one the second machine's weights would begin with the first one's numbers.
        other = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(seed)))
        self.first = RBM(visible, below, means, seed=seed)
        self.second = RBM(below, above, seed=other)

    @torch.no_grad()
    def begin(self, images: Tensor) -> Tensor:
        """The second machine's data, (n, hidden[0]) in [0, 1]; its visible biases are set to the logits of their means.

        The data are p(h1 = 1 | v) at the grey values v of the images. `PersistentContrast` draws binary units from
        them; the pixels themselves are not drawn first.

        Parameters
        ----------
        images : (n, visible) in [0, 1], those that the first machine was trained on.

        Raises
        ------
        TypeError, ValueError
            If the images do not fit.
        """
        _check(self, "images", images)
        found = self.first.hidden_probabilities(images)
        self.second.visible_bias.copy_(torch.logit(found.mean(0), eps=1e-3))
        return found

    def chain(self, start: Tensor, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
        """The means of the images of c chains, (c, visible) in [0, 1], after each of ``steps`` steps.

        Each chain draws h1 from p(h1 | v) at its image in ``start``. A step is a Gibbs step of the second machine, h2
        given h1 and then h1 given h2. What it yields is p(v = 1 | h1) at the h1 just drawn, binary: means given a
        sample, neither binary images nor the result of passing down means. Images drawn with these means have the
        network's distribution once the chain has reached its own.

        Parameters
        ----------
        start : (c, visible) in [0, 1].
        steps : >= 1.
        rng : on the network's device.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit; before any work, at the call.
        """
        steps = limits.check("steps", steps, most=limits.STEPS)
        tensors.drawing(1, rng, self.first.weight.device)
        _check(self, "start", start)
        return self._steps(start, steps, rng)

    @torch.no_grad()
    def _steps(self, start: Tensor, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
        h = draw(self.first.hidden_probabilities(start), rng)
        for _ in range(steps):
            h = self.second.gibbs(h, 1, rng)
            yield self.first.visible_probabilities(h)


def _check(dbn: DBN, name: str, images: Tensor) -> None:
    tensors.fits(name, images, dbn.first.weight, len(dbn.first.visible_bias))
    tensors.real(name, images)
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"{name} lies in [{images.min():.4g}, {images.max():.4g}]; give images in [0, 1]")
