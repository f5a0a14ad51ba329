"""The losses of section 3 on logits.

D(x) = sigmoid(logit). Everything goes through softplus, so that values and gradients stay finite for any logit; the
textbook form log(sigmoid(x) + 1e-8) has no gradient exactly where the generator needs one.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganlib import limits

GeneratorLoss = Callable[[Tensor], Tensor]
REDUCTIONS = ("sum", "mean")


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, reduction: str = "sum") -> Tensor:
    """Binary cross-entropy of D: -[mean log D(x) + mean log(1 - D(G(z)))], the negative of equation 1.

    Parameters
    ----------
    real_logits, fake_logits : (m,), one a sample, finite. For nets side by side, ``torch.vmap`` this function.
    reduction : "sum" of the two means, which is -V(D, G) as printed, or their "mean", with the factor 1/2 of the
        original code. At the equilibrium D = 1/2 the first is log 4 = 1.386, the second log 2 = 0.693.

    Returns
    -------
    Tensor
        Scalar, in nats, >= 0.

    Raises
    ------
    ValueError
        If logits are not one a sample, or ``reduction`` is neither name.

    Examples
    --------
    >>> import torch
    >>> zero = torch.zeros(8)
    >>> [round(discriminator_loss(zero, zero, r).item(), 4) for r in ("sum", "mean")]
    [1.3863, 0.6931]
    """
    limits.one_of("reduction", reduction, REDUCTIONS)
    real, fake = _one_a_sample(real_logits, "real_logits"), _one_a_sample(fake_logits, "fake_logits")
    if real.device != fake.device:
        raise ValueError(f"real_logits are on {real.device}, fake_logits on {fake.device}: put both on one device")
    loss = softplus(-real).mean(-1) + softplus(fake).mean(-1)
    return loss / 2 if reduction == "mean" else loss


def minimax(fake_logits: Tensor) -> Tensor:
    """The generator's side of equation 1, mean log(1 - D(G(z))): to minimise; saturates when D wins.

    From logits (m,): scalar, in nats, <= 0. Its gradient in a logit is -D, which vanishes as D(G(z)) -> 0. Section 3.

    Raises
    ------
    ValueError
        If logits are not one a sample.

    Examples
    --------
    >>> import torch
    >>> logit = torch.tensor([-10.0], requires_grad=True)
    >>> minimax(logit).backward()
    >>> round(logit.grad.item(), 6)
    -4.5e-05
    """
    return -softplus(_one_a_sample(fake_logits)).mean(-1)


def non_saturating(fake_logits: Tensor) -> Tensor:
    """The loss the experiments used, -mean log D(G(z)): same fixed point, strong gradients early (section 3).

    From logits (m,): scalar, in nats, >= 0. Its gradient in a logit is D - 1, which tends to -1 as D(G(z)) -> 0.

    Raises
    ------
    ValueError
        If logits are not one a sample.

    Examples
    --------
    >>> import torch
    >>> logit = torch.tensor([-10.0], requires_grad=True)
    >>> non_saturating(logit).backward()
    >>> round(logit.grad.item(), 4)
    -1.0
    """
    return softplus(-_one_a_sample(fake_logits)).mean(-1)


GENERATOR_LOSSES: dict[str, GeneratorLoss] = {"minimax": minimax, "non-saturating": non_saturating}


def generator_loss(name: str) -> GeneratorLoss:
    """Look a generator loss up by name: "minimax" or "non-saturating".

    Raises
    ------
    ValueError
        If there is no such loss; the message lists those there are.
    """
    limits.one_of("the generator's loss", name, GENERATOR_LOSSES)
    return GENERATOR_LOSSES[name]


def _one_a_sample(logits: Tensor, name: str = "fake_logits") -> Tensor:
    """The logits, if they are (m,): (m, 1) would be m losses, whose sum is m times the mean that is meant."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.layout != torch.strided:
        raise TypeError(f"{name} is {limits.shown(logits)}; logits are a dense torch tensor of floats, (m,)")
    if logits.ndim != 1 or not len(logits):
        raise ValueError(
            f"{name} have shape {tuple(logits.shape)}; a loss takes one a sample, (m,): give D one output unit, and "
            "flatten its output"
        )
    return logits
