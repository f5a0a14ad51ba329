"""Classifier two-sample test: can a fresh critic, trained on half of the data, tell the other half apart?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib import limits, tensors
from ganlib.losses import discriminator_loss
from ganlib.sampling import evaluating


@dataclass(frozen=True)
class TwoSampleTest:
    """What a classifier of reals and fakes reached.

    Parameters
    ----------
    accuracy : share of held-out samples classified rightly, in [0, 1].
    mean_fake : mean D on held-out fakes.
    bound : one-sided 95 % bound of the accuracy if both sets had one distribution.
    n : held-out samples, both kinds.
    """

    accuracy: float
    mean_fake: float
    bound: float
    n: int

    @property
    def distinguishable(self) -> bool:
        """True where the accuracy exceeds the bound."""
        return self.accuracy > self.bound


def classifier_test(
    critic: nn.Module, real: Tensor, fake: Tensor, *, steps: int = 500, lr: float = 0.01, seed: int = 0
) -> TwoSampleTest:
    """Train a fresh critic on a random half of each set by full-batch Adam and test it on the other half.

    Parameters
    ----------
    critic : maps (m, ...) to logits (m,); freshly initialised by the caller, changed in place.
    real, fake : (n, ...), the same n >= 4; in the critic's number format, on its device.
    steps, lr : of training, >= 1 and in (0, 1e30].
    seed : of the split.

    Returns
    -------
    TwoSampleTest
        Under the null hypothesis the accuracy is about N(1/2, 1/(4n)), n held-out samples (Lopez-Paz & Oquab, 2017).

    Raises
    ------
    TypeError, ValueError
        If the sets differ in shape, are not finite or hold fewer than four samples, or do not fit the critic, or steps
        or lr is not positive.
    FloatingPointError
        If the critic's logits do not stay finite.
    """
    limits.kind("critic", critic, nn.Module)
    tensors.points(real=real, fake=fake)
    if real.shape != fake.shape or len(real) < 4:
        raise ValueError(f"real is {tuple(real.shape)}, fake {tuple(fake.shape)}; give the same number, at least 4")
    steps = limits.check("steps", steps, most=limits.STEPS)
    lr = limits.real("lr", lr, "(0, 1e30]")
    seed = limits.check("seed", seed, *limits.TORCH_SEEDS)
    weight = next(critic.parameters(), None)
    if weight is None:
        raise ValueError("critic has no parameters; it cannot learn: give a net such as ganlib.nets.MLP((2, 64, 1))")
    for name, x in (("real", real), ("fake", fake)):
        tensors.fits(name, x, weight, *x.shape[1:])
    real, fake = real.detach(), fake.detach()
    rng = torch.Generator().manual_seed(seed)
    half = len(real) // 2
    parts = [x[torch.randperm(len(x), generator=rng).to(x.device)].split([half, len(x) - half]) for x in (real, fake)]
    (real_train, real_test), (fake_train, fake_test) = parts
    optimiser = torch.optim.Adam(critic.parameters(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        discriminator_loss(critic(real_train), critic(fake_train)).backward()
        optimiser.step()
    with evaluating(critic):
        on_real, on_fake = critic(real_test), critic(fake_test)
    if not (on_real.isfinite().all() and on_fake.isfinite().all()):
        raise FloatingPointError(f"the critic's logits stopped being finite: lower its learning rate, lr = {lr}")
    n = len(on_real) + len(on_fake)
    right = (on_real > 0).sum().item() + (on_fake <= 0).sum().item()
    return TwoSampleTest(right / n, on_fake.sigmoid().mean().item(), 0.5 + 1.645 / math.sqrt(4 * n), n)
