"""A restricted Boltzmann machine on binary pixels, trained by persistent contrastive divergence: it needs a chain.

p(v, h) = exp(v W h + b v + c h) / Z over states of 0 and 1. Given v the hidden units are independent, and given h the
visible ones, so a step of block Gibbs sampling draws all of h and then all of v. The gradient of log p(v) needs samples
of the model; persistent contrastive divergence (Tieleman, 2008) takes them from chains that are never started again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib import limits, tensors
from ganlib.errors import CheckpointError, Diverged
from ganlib.nets import weights


class RBM(nn.Module):
    """A restricted Boltzmann machine.

    Parameters
    ----------
    visible, hidden : numbers of units, >= 1.
    means : (visible,) in [0, 1], or None. The visible biases start at their logit, clipped to [.001, .999], so that the
        untrained machine already has the data's mean; else at 0. Weights start at N(0, .01^2), hidden biases at 0.
    seed : of the initial weights.

    Raises
    ------
    TypeError, ValueError
        If a number is not positive, ``means`` has another shape or range, or the seed is none of torch's.

    Examples
    --------
    >>> rbm = RBM(4, 3)
    >>> rbm.free_energy(torch.zeros(1, 4))  # -log sum over h of exp(0): 2^3 hidden states
    tensor([-2.0794])
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor

    def __init__(self, visible: int, hidden: int, means: Tensor | None = None, *, seed: int = 0) -> None:
        super().__init__()
        limits.check("visible", visible)
        limits.check("hidden", hidden)
        seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
        if means is not None:
            means = tensors.real("means", means).float()
            if means.shape != (visible,) or not (means.min() >= 0 and means.max() <= 1):
                raise ValueError(f"means has shape {tuple(means.shape)}; it must be ({visible},) in [0, 1]")
        rng = torch.Generator().manual_seed(seed)
        # Buffers: no gradient is ever taken through a chain.
        self.register_buffer("weight", 0.01 * torch.randn(visible, hidden, generator=rng))
        self.register_buffer("visible_bias", torch.zeros(visible))
        self.register_buffer("hidden_bias", torch.zeros(hidden))
        if means is not None:
            self.visible_bias.copy_(torch.logit(means, eps=1e-3))

    def hidden_probabilities(self, v: Tensor) -> Tensor:
        """p(h = 1 | v), (m, hidden), for v (m, visible)."""
        tensors.fits("v", v, self.weight, ..., len(self.visible_bias))
        return functional.linear(v, self.weight.t(), self.hidden_bias).sigmoid_()

    def visible_probabilities(self, h: Tensor) -> Tensor:
        """p(v = 1 | h), (m, visible), for h (m, hidden)."""
        tensors.fits("h", h, self.weight, ..., len(self.hidden_bias))
        return functional.linear(h, self.weight, self.visible_bias).sigmoid_()

    def gibbs(self, v: Tensor, steps: int, rng: torch.Generator) -> Tensor:
        """The states of m chains, (m, visible) of 0 and 1, ``steps`` steps after v: h given v, then v given h.

        ``rng`` is on the machine's device. Chains do not meet.
        """
        steps = limits.check("steps", steps, 0)
        tensors.drawing(1, rng, self.weight.device)
        tensors.fits("v", v, self.weight, ..., len(self.visible_bias))
        for _ in range(steps):
            h = draw(self.hidden_probabilities(v), rng)
            v = draw(self.visible_probabilities(h), rng)
        return v

    def free_energy(self, v: Tensor) -> Tensor:
        """-log of p(v) Z, (m,), for v (m, visible): the hidden units summed in closed form."""
        tensors.fits("v", v, self.weight, len(self.visible_bias))
        return -v @ self.visible_bias - functional.softplus(
            functional.linear(v, self.weight.t(), self.hidden_bias)
        ).sum(1)

    def statistics(self, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Minus the gradient of the mean free energy of v (m, visible) for weight, visible and hidden bias.

        The gradient of the mean log-likelihood is the statistics of the data less those of the model's own samples.
        """
        tensors.fits("v", v, self.weight, len(self.visible_bias))
        h = self.hidden_probabilities(v)
        return functional.linear(v.t(), h.t(), None) / len(v), v.mean(0), h.mean(0)

    def climb(self, v: Tensor, chains: Tensor, rate: float) -> None:
        """Add the rate times the statistics of v (m, visible) less those of the chains' states (c, visible)."""
        rate = limits.real("rate", rate, "[0, 1e30]")
        tensors.fits("chains", chains, self.weight, len(self.visible_bias))
        parameters = (self.weight, self.visible_bias, self.hidden_bias)
        for parameter, own, model in zip(parameters, self.statistics(v), self.statistics(chains), strict=True):
            parameter.add_(own - model, alpha=rate)


def train(
    rbm: RBM, data: Tensor, *, iterations: int, every: int, m: int = 100, lr: float = 0.05, seed: int = 0
) -> Iterator[float]:
    """Persistent contrastive divergence: m images an update, m chains, one Gibbs step each, lr falling linearly to 0.

    Every ``every`` iterations yields the mean free energy of the last minibatch less that of the chains, in nats: no
    likelihood, but what the update lowers. Minibatches are drawn with replacement; they and the chains' moves come from
    a generator of their own. The chains start at fair coins.

    Parameters
    ----------
    rbm : trained in place.
    data : (n, visible) of 0 and 1, on its device; integers, bool or float.
    iterations, every, m : of updates, between yields, and images an update, >= 1.
    lr : learning rate at first, > 0.
    seed : of minibatches and moves.

    Raises
    ------
    ValueError
        If a setting is impossible or the data do not fit; before any work, at the call.
    Diverged
        At the yield after a weight stopped being finite.
    """
    for name, number in (("iterations", iterations), ("every", every), ("m", m)):
        limits.check(name, number)
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    lr = limits.real("lr", lr, "(0, 1e30]")
    limits.kind("rbm", rbm, RBM)
    tensors.real("data", data)
    if data.device != rbm.weight.device:
        raise ValueError(f"data is on {data.device}, the machine on {rbm.weight.device}: put both on one device")
    if data.ndim != 2 or not len(data) or data.shape[1] != len(rbm.visible_bias):
        raise ValueError(f"data is {tuple(data.shape)}; the machine needs (n, {len(rbm.visible_bias)}), n >= 1")
    if not ((data == 0) | (data == 1)).all():
        raise ValueError("data holds values other than 0 and 1; the machine's units are binary: give (images > .5)")
    return _iterate(rbm, data, iterations, every, m, lr, seed)


def draw(probabilities: Tensor, rng: torch.Generator) -> Tensor:
    """Independent Bernoulli variables, 0 or 1, with these probabilities: a tensor of their shape and number format.

    Nothing is checked: it is called within chains. ``rng`` is on the probabilities' device.
    """
    return torch.empty_like(probabilities).uniform_(generator=rng).lt_(probabilities)


def file(rbm: RBM, iteration: int) -> bytes:
    """The machine in half precision, as the bytes of a file that `load` reads; ``iteration`` says how far."""
    limits.kind("rbm", rbm, RBM)
    iteration = limits.check("iteration", iteration, 0, limits.STEPS)
    return b"".join(weights.serialised(iteration, weights.half(rbm.state_dict()), {"kind": "rbm"}, {}))


def load(path: str | Path) -> RBM:
    """The machine that `file` gave, on the CPU in float32.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or holds no machine.
    """
    found = weights.load(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in found.tensors.items()}
    visible, hidden = shapes.get("visible_bias", ()), shapes.get("hidden_bias", ())
    wanted = {"weight": visible + hidden, "visible_bias": visible, "hidden_bias": hidden}
    if found.settings.get("kind") != "rbm" or shapes != wanted or not len(visible) == len(hidden) == 1:
        raise CheckpointError(
            f"{path}: holds no restricted Boltzmann machine; give a file that ganlib.lab.models.rbm.file made"
        )
    rbm = weights.filled(lambda: RBM(*visible, *hidden), found.tensors, found.path, "such a machine", "cpu")
    assert isinstance(rbm, RBM)
    return rbm


def _iterate(rbm: RBM, data: Tensor, iterations: int, every: int, m: int, lr: float, seed: int) -> Iterator[float]:
    rng = torch.Generator(data.device).manual_seed(seed)
    parameters = (rbm.weight, rbm.visible_bias, rbm.hidden_bias)
    chains = draw(rbm.visible_bias.new_full((m, data.shape[1]), 0.5), rng)
    for done in range(1, iterations + 1):
        batch = data[torch.randint(len(data), (m,), generator=rng, device=data.device)].to(chains.dtype)
        chains = rbm.gibbs(chains, 1, rng)
        rbm.climb(batch, chains, lr * (1 - (done - 1) / iterations))
        if done % every == 0 or done == iterations:
            if not all(parameter.isfinite().all() for parameter in parameters):
                raise Diverged(
                    f"the machine's weights stopped being finite by iteration {done}: lower the learning rate"
                )
            yield (rbm.free_energy(batch).mean() - rbm.free_energy(chains).mean()).item()
