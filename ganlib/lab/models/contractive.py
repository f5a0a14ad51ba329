"""Stacked contractive autoencoders (Rifai et al., 2011), and the walk by which images are drawn from them (2012).

An autoencoder h = s(W x + b), x' = s(W^T h + c), s the logistic function, is contractive if its loss is

    cross-entropy of x and x', summed over the inputs + contraction * ||J||^2,    J = dh/dx = diag(h (1 - h)) W.

The squared Frobenius norm is a sum over units, of (h_j (1 - h_j))^2 ||W_j||^2. The walk (Rifai et al., "A generative
process for sampling contractive auto-encoders", arXiv 1206.6434) moves the code along what the penalty left of J:
x -> h -> h + J J^T noise -> x'. J shrinks with the contraction, so the noise's sigma has no scale of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganlib import limits, tensors
from ganlib.lab.models.learning import Descent

WALKS = ("top", "stack")
_SCALE = "[0, 1e30]"


class CAE(nn.Module):
    """One contractive autoencoder, with logistic units and one matrix for both directions.

    Weights start uniform within 4 sqrt(6 / (visible + hidden)) of 0, biases at 0, as in the authors' public code
    (github.com/ynd/cae.py, 2012).

    Parameters
    ----------
    visible, hidden : numbers of units, >= 1.
    seed : of the initial weights.

    Raises
    ------
    TypeError, ValueError
        If a number is not positive or the seed is none of torch's.

    Examples
    --------
    >>> cae = CAE(4, 3)
    >>> cae.decode(cae.encode(torch.zeros(2, 4))).shape
    torch.Size([2, 4])
    """

    def __init__(self, visible: int, hidden: int, *, seed: int = 0) -> None:
        super().__init__()
        visible, hidden = limits.check("visible", visible), limits.check("hidden", hidden)
        rng = torch.Generator().manual_seed(limits.check("seed", seed, *limits.TORCH_SEEDS))
        bound = 4 * math.sqrt(6 / (visible + hidden))
        self.weight = nn.Parameter(torch.empty(hidden, visible).uniform_(-bound, bound, generator=rng))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.visible_bias = nn.Parameter(torch.zeros(visible))

    def encode(self, x: Tensor) -> Tensor:
        """The codes h, (m, hidden) in (0, 1), of x (m, visible)."""
        tensors.fits("x", x, self.weight, len(self.visible_bias))
        return functional.linear(x, self.weight, self.hidden_bias).sigmoid()

    def decode(self, h: Tensor) -> Tensor:
        """The reconstruction, (m, visible) in (0, 1), of codes h (m, hidden), which may lie outside [0, 1]."""
        return self._logits(h).sigmoid()

    def penalty(self, x: Tensor) -> Tensor:
        """The squared Frobenius norm of the encoder's Jacobian at each x (m, visible): (m,)."""
        return self._penalty(self.encode(x))

    def loss(self, x: Tensor, contraction: float = 0.1) -> Tensor:
        """Mean over x (m, visible), in [0, 1], of the cross-entropy in nats plus ``contraction`` times `penalty`.

        The default and the loss are those of the authors' public code (github.com/ynd/cae.py, 2012), whose hand-written
        gradient of the penalty lacks the 2 of the square, though: in effect it descends on half its contraction.

        Raises
        ------
        TypeError, ValueError
            If x does not fit, or the contraction is no finite number from 0 on.
        """
        contraction = limits.real("contraction", contraction, _SCALE)
        h = self.encode(x)
        error = functional.binary_cross_entropy_with_logits(self._logits(h), x, reduction="none").sum(1)
        return (error + contraction * self._penalty(h)).mean()

    def perturbation(self, h: Tensor, noise: Tensor) -> Tensor:
        """J J^T noise, (m, hidden), at the x whose codes are h; h and noise (m, hidden). No Jacobian is built."""
        for name, given in (("h", h), ("noise", noise)):
            tensors.fits(name, given, self.weight, len(self.hidden_bias))
        if len(h) != len(noise):
            raise ValueError(f"h is {tuple(h.shape)}, noise {tuple(noise.shape)}; give one noise a code")
        return _perturbation([self], [h], noise)

    def _logits(self, h: Tensor) -> Tensor:
        tensors.fits("h", h, self.weight, len(self.hidden_bias))
        return functional.linear(h, self.weight.t(), self.visible_bias)

    def _penalty(self, h: Tensor) -> Tensor:
        return _slope(h).square() @ self.weight.square().sum(1)


class StackedCAE(nn.Module):
    """Contractive autoencoders, each on the codes of the one below; Table 1's stacked CAE has two.

    The layers are trained one after the other: ``training(stack.layers[k], stack.inputs(k, images), ...)``.

    Parameters
    ----------
    sizes : numbers of units from the pixels up, two or more, each >= 1. The layer sizes behind Table 1 are not known to
        us; the authors' public code has 1024 hidden units as its default.
    seed : of the first layer's initial weights; the next layer's is one more.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two sizes, one is not positive, or the seed is none of torch's.

    Examples
    --------
    >>> stack = StackedCAE((9, 5, 4))
    >>> [means.shape for means in stack.chain(torch.rand(2, 9), 3, torch.Generator())]
    [torch.Size([2, 9]), torch.Size([2, 9]), torch.Size([2, 9])]
    """

    def __init__(self, sizes: Sequence[int] = (784, 1000, 1000), *, seed: int = 0) -> None:
        super().__init__()
        limits.kind("sizes", sizes, (tuple, list))
        if len(sizes) < 2:
            raise ValueError(f"sizes is {limits.shown(sizes)}; give the pixels' number and that of one layer or more")
        for size in sizes:
            limits.check("sizes", size)
        seed = limits.check("seed", seed, limits.TORCH_SEEDS[0], limits.TORCH_SEEDS[1] - len(sizes))
        self.layers = nn.ModuleList(CAE(*pair, seed=seed + k) for k, pair in enumerate(pairwise(sizes)))

    def encode(self, x: Tensor) -> Tensor:
        """The top layer's codes, (m, top), of x (m, visible)."""
        for layer in self._caes:
            x = layer.encode(x)
        return x

    def decode(self, h: Tensor) -> Tensor:
        """The pixels' means, (m, visible) in (0, 1), of top codes h (m, top): decoded layer by layer."""
        for layer in reversed(self._caes):
            h = layer.decode(h)
        return h

    @torch.no_grad()
    def inputs(self, layer: int, images: Tensor, *, batch: int = 1000) -> Tensor:
        """What a layer, counted from 0, is trained on: images (n, visible) encoded by the layers below.

        Parameters
        ----------
        layer : 0 gives the images as they are.
        images : (n, visible), in the stack's number format and on its device.
        batch : images encoded at once, >= 1.

        Raises
        ------
        TypeError, ValueError
            If there is no such layer, the images do not fit, or ``batch`` is not positive.
        """
        layer = limits.check("layer", layer, 0, len(self.layers) - 1)
        batch = limits.check("batch", batch)
        tensors.fits("images", images, self._caes[0].weight, len(self._caes[0].visible_bias))
        parts = []
        for part in images.split(batch):
            for below in self._caes[:layer]:
                part = below.encode(part)
            parts.append(part)
        return torch.cat(parts) if layer else images

    def chain(
        self, start: Tensor, steps: int, rng: torch.Generator, *, sigma: float = 1.0, walk: str = "top"
    ) -> Iterator[Tensor]:
        """Walk from images: after each step the pixels' means, (c, visible) in [0, 1], of c chains that do not meet.

        A step adds J J^T noise to the top codes, decodes, and encodes again. "top" stays between the two uppermost
        levels, with the J of the top encoder with respect to its own input, and its pixels are only decoded from there
        and not encoded again, as those of a deep belief network; "stack" goes down to the pixels and up again at each
        step, with the J of all encoders in a row. Which of the two gave Table 1's number is not known to us: the
        process is published for one pair of encoder and decoder, and fits both. With one layer they are the same.

        Parameters
        ----------
        start : (c, visible) in [0, 1], in the stack's number format and on its device.
        steps : to take, one yield each, >= 1.
        rng : of the noise, on the stack's device.
        sigma : standard deviation of each coordinate of the noise, >= 0; 0 is repeated reconstruction. 1 is the default
            of the authors' public code. Choose it on the validation images: J has the scale that training left it.
        walk : "top" or "stack".

        Raises
        ------
        TypeError, ValueError
            If an argument is impossible; before any work, at the call.
        """
        limits.check("steps", steps)
        sigma = limits.real("sigma", sigma, _SCALE)
        limits.one_of("walk", walk, WALKS)
        bottom = self._caes[0]
        tensors.drawing(1, rng, bottom.weight.device)
        tensors.fits("start", start, bottom.weight, len(bottom.visible_bias))
        tensors.real("start", start)
        if not (start.min() >= 0 and start.max() <= 1):
            raise ValueError(f"start lies in [{start.min():.4g}, {start.max():.4g}]; give images in [0, 1]")
        return self._walk(start.detach(), steps, rng, sigma, len(self.layers) - 1 if walk == "top" else 0)

    def _walk(self, x: Tensor, steps: int, rng: torch.Generator, sigma: float, lowest: int) -> Iterator[Tensor]:
        """Chains between the top and the input of layer ``lowest``."""
        below, walked = self._caes[:lowest], self._caes[lowest:]
        with torch.no_grad():
            for layer in below:
                x = layer.encode(x)
        for _ in range(steps):
            # Entered anew at each step: a generator's no_grad would otherwise reach its caller between two yields.
            with torch.no_grad():
                codes = [x]
                for layer in walked:
                    codes.append(layer.encode(codes[-1]))
                top = codes[-1]
                noise = torch.randn(top.shape, generator=rng, device=top.device, dtype=top.dtype).mul_(sigma)
                x = top + _perturbation(walked, codes[1:], noise)
                for layer in reversed(walked):
                    x = layer.decode(x)
                means = x
                for layer in reversed(below):
                    means = layer.decode(means)
            yield means

    @property
    def _caes(self) -> list[CAE]:
        return cast("list[CAE]", list(self.layers))


def training(
    cae: CAE,
    data: Tensor,
    *,
    contraction: float = 0.1,
    lr: float = 0.1,
    lr_decay: float = 1.0,
    momentum: float = 0.0,
    m: int = 20,
    seed: int = 0,
) -> Descent:
    """The descent on a layer's `CAE.loss`: call its `advance`, keep its `state`, see `ganlib.lab.models.learning`.

    The defaults of contraction, rate and minibatch are those of the authors' public code (see `CAE.loss`, though), not
    the settings of Table 1, which are not known to us.

    Parameters
    ----------
    cae : trained in place.
    data : (n, visible) in [0, 1]: images, or `StackedCAE.inputs`.
    contraction : weight of the penalty, >= 0.
    lr, lr_decay, momentum, m, seed : as `Descent`.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible or the data do not fit.

    Examples
    --------
    >>> descent = training(CAE(9, 4), torch.rand(40, 9))
    >>> descent.advance(descent.epoch_length) > 0  # the mean loss of the first epoch
    True
    """
    limits.kind("cae", cae, CAE)
    contraction = limits.real("contraction", contraction, _SCALE)
    tensors.fits("data", data, cae.weight, len(cae.visible_bias))

    def loss(batch: Tensor, _: torch.Generator) -> Tensor:
        return cae.loss(batch, contraction)

    return Descent(cae, data, loss, lr=lr, lr_decay=lr_decay, momentum=momentum, m=m, seed=seed)


def _perturbation(layers: Sequence[CAE], codes: Sequence[Tensor], noise: Tensor) -> Tensor:
    """J J^T noise for the encoders in a row, given each one's codes: down by J^T, up by J, two products a layer."""
    for layer, h in zip(reversed(layers), reversed(codes), strict=True):
        noise = functional.linear(noise * _slope(h), layer.weight.t())
    for layer, h in zip(layers, codes, strict=True):
        noise = functional.linear(noise, layer.weight) * _slope(h)
    return noise


def _slope(h: Tensor) -> Tensor:
    """The logistic function's derivative where its value is h."""
    return h * (1 - h)
