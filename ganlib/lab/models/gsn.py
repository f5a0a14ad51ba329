"""Generative stochastic networks and denoising autoencoders: a chain of noisy reconstructions, trained by backprop.

Layers 0 (the pixels), 1, ..., K; between neighbours one weight matrix, used in both directions. A step of the chain
computes the odd layers from the even ones and then the even ones from the odd; the reconstruction it leads to is a mean
for each pixel. The next step's layer 0 is a sample of these means, with salt-and-pepper noise on it. Training makes
every reconstruction of a few steps that began at an image likely to be that image: the walkback. With one hidden layer
this is the denoising autoencoder of "Generalized Denoising Auto-Encoders as Generative Models" (Bengio, Yao, Alain &
Vincent, 2013), with two the network of "Deep Generative Stochastic Networks Trainable by Backprop" (Bengio, Laufer,
Alain & Yosinski, 2014), which is Table 1's deep GSN. Noise, starts and settings are those of the authors' public code.

Its momentum averages the gradients, v = .5 v + .5 g, and moves by rate times v. In the form of
`ganlib.lab.models.learning.Descent` its rate .25 is .125. (It also scales the past by today's rate, by .995 once an
epoch.) The code's settings, for minibatches of 100 of the 60,000 images that are not the test set:

- deep GSN, 4 walkbacks, grey images: ``GSN(784)``, lr .125, lr_decay .995, momentum .5, 1,000 epochs;
- denoising autoencoder, 5 walkbacks (or 1), images > .5: ``GSN(784, (2000,), activation="sigmoid")``, lr 10, 500 (200)
  epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib import limits, tensors

ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}


class GSN(nn.Module):
    """A generative stochastic network; with one hidden layer a denoising autoencoder.

    Weights start uniform within +- sqrt(6 / (units below + units above)), biases at 0.

    Parameters
    ----------
    visible : pixels, >= 1.
    hidden : units of each hidden layer, from the pixels up, each >= 1.
    activation : of the hidden layers, "tanh" or "sigmoid". The pixels' means are sigmoids.
    salt_and_pepper : share of the pixels, in [0, 1], that noise replaces: by 0 or 1, each as likely.
    hidden_noise : standard deviation, >= 0, for each hidden layer, of Gaussian noise that is added before and once more
        after the activation; None for 2 in all layers but the first, which has none.
    input_sampling : whether a step begins from a sample of the last step's means, or from the means.
    seed : of the initial weights.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of its range, or there is not one standard deviation for each hidden layer.

    Examples
    --------
    >>> gsn, rng = GSN(4, (3, 2)), torch.Generator().manual_seed(0)
    >>> [tuple(weight.shape) for weight in gsn.weights], [len(bias) for bias in gsn.biases]
    ([(4, 3), (3, 2)], [4, 3, 2])
    >>> means = list(gsn.chain(torch.ones(5, 4), 10, rng))
    >>> len(means), means[0].shape
    (10, torch.Size([5, 4]))
    """

    def __init__(
        self,
        visible: int,
        hidden: Sequence[int] = (1500, 1500),
        *,
        activation: str = "tanh",
        salt_and_pepper: float = 0.4,
        hidden_noise: Sequence[float] | None = None,
        input_sampling: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        limits.check("visible", visible)
        limits.kind("hidden", hidden, (tuple, list))
        if not hidden:
            raise ValueError(f"hidden is {hidden}; give the units of one hidden layer or more, such as (2000,)")
        hidden = tuple(limits.check("each of hidden", units) for units in hidden)
        limits.one_of("activation", activation, ACTIVATIONS)
        self.salt_and_pepper = limits.real("salt_and_pepper", salt_and_pepper, "[0, 1]")
        if hidden_noise is None:
            hidden_noise = (0.0, *[2.0] * (len(hidden) - 1))
        limits.kind("hidden_noise", hidden_noise, (tuple, list))
        if len(hidden_noise) != len(hidden):
            raise ValueError(f"hidden_noise is {limits.shown(hidden_noise)}; give one number for each of {hidden}")
        self.hidden_noise = tuple(limits.real("each of hidden_noise", std, "[0, 1e30]") for std in hidden_noise)
        limits.flag("input_sampling", input_sampling)
        self.input_sampling = input_sampling
        seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
        self.activation = ACTIVATIONS[activation]
        rng = torch.Generator().manual_seed(seed)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for below, above in pairwise((visible, *hidden)):
            bound = math.sqrt(6 / (below + above))
            self.weights.append(nn.Parameter(torch.empty(below, above).uniform_(-bound, bound, generator=rng)))
        for units in (visible, *hidden):
            self.biases.append(nn.Parameter(torch.zeros(units)))

    def corrupted(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """x (m, visible) with salt-and-pepper noise: each value independently replaced or not."""
        tensors.drawing(1, rng, self.weights[0].device)
        tensors.fits("x", x, self.weights[0], len(self.biases[0]))
        # One draw decides whether a value is replaced, and by what.
        u = torch.empty_like(x).uniform_(generator=rng)
        return torch.where(u < self.salt_and_pepper, (u < self.salt_and_pepper / 2).to(x.dtype), x)

    def loss(self, batch: Tensor, rng: torch.Generator, walkbacks: int = 4) -> Tensor:
        """What training minimises: the cross-entropy of a batch with each reconstruction of the walkback, summed.

        A reconstruction's cross-entropy is the mean over images and pixels, in nats: the loss of ignorance, all means
        .5, is ``walkbacks`` times log 2. No gradient flows through a sample.

        Parameters
        ----------
        batch : (m, visible) in [0, 1].
        rng : of all noise, on the network's device.
        walkbacks : steps of the chain; 1 is the usual training of a denoising autoencoder. At least 1 + K // 2 of K
            hidden layers: of fewer, no reconstruction depends on the uppermost.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit. That the batch lies in [0, 1] is not looked at.
        """
        limits.check("walkbacks", walkbacks, 1 + len(self.weights) // 2)
        tensors.fits("batch", batch, self.weights[0], len(self.biases[0]))
        layers = {0: self.corrupted(batch, rng)}
        total = batch.new_zeros(())
        for left in reversed(range(walkbacks)):
            logits = self._step(layers, rng, last=not left)
            total = total + functional.binary_cross_entropy_with_logits(logits, batch)
        return total

    def chain(self, start: Tensor, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
        """The means of c chains, (c, visible) in [0, 1], after each of ``steps`` steps.

        A chain's state is all layers: the corrupted pixels and the hidden layers, at first the corrupted start and
        zeros. All noise is that of the training. The start is not among what is yielded: the authors' code scores a
        network by one chain's start, an image of the test set, and the 9,999 means that follow.

        Parameters
        ----------
        start : (c, visible) in [0, 1], in the network's number format and on its device.
        steps : of each chain, >= 1.
        rng : of all noise, on the network's device.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit; before any work, at the call.
        """
        steps = limits.check("steps", steps, 1, limits.STEPS)
        tensors.drawing(1, rng, self.weights[0].device)
        tensors.real("start", start, rank=2)
        tensors.fits("start", start, self.weights[0], len(self.biases[0]))
        if not (start.min() >= 0 and start.max() <= 1):
            raise ValueError(f"start lies in [{start.min():.4g}, {start.max():.4g}]; give images in [0, 1]")
        return self._chain(start.detach(), steps, rng)

    @torch.no_grad()
    def _chain(self, start: Tensor, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
        layers = {0: self.corrupted(start, rng)}
        for _ in range(steps):
            yield self._step(layers, rng).sigmoid()

    def _step(self, layers: dict[int, Tensor], rng: torch.Generator, *, last: bool = False) -> Tensor:
        """Move the layers on by one step; the logits of the means that layer 0 was drawn from.

        A layer that is missing is at zero. After the last step of a walkback nobody asks for the even layers.
        """
        for i in range(1, len(self.biases), 2):
            layers[i] = self._hidden(i, layers, rng)
        logits = self._field(0, layers)
        if not last:
            means = logits.sigmoid()
            layers[0] = self.corrupted(_draw(means, rng) if self.input_sampling else means, rng)
            for i in range(2, len(self.biases), 2):
                layers[i] = self._hidden(i, layers, rng)
        return logits

    def _hidden(self, i: int, layers: dict[int, Tensor], rng: torch.Generator) -> Tensor:
        """Hidden layer i, from its neighbours and noise."""
        std = self.hidden_noise[i - 1]
        return _noisy(self.activation(_noisy(self._field(i, layers), std, rng)), std, rng)

    def _field(self, i: int, layers: dict[int, Tensor]) -> Tensor:
        """The sum that layer i's activation is taken of."""
        field: Tensor = self.biases[i]
        if i > 0 and i - 1 in layers:
            field = torch.addmm(field, layers[i - 1], self.weights[i - 1])
        if i + 1 in layers:
            field = torch.addmm(field, layers[i + 1], self.weights[i].t())
        return field.expand(len(layers[0]), -1)


def _noisy(x: Tensor, std: float, rng: torch.Generator) -> Tensor:
    return x if std == 0 else torch.empty_like(x).normal_(0, std, generator=rng).add_(x)


def _draw(means: Tensor, rng: torch.Generator) -> Tensor:
    """Independent coins, 0 or 1; without a graph."""
    return torch.empty_like(means).uniform_(generator=rng).lt_(means.detach())
