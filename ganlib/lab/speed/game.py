"""Algorithm 1's game as a full-length run plays it: D sees data and samples in one pass, many seeds side by side."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganlib.algorithm1 import Game
from ganlib.lab.randomness import current
from ganlib.nets import players


@dataclass
class FastGame(Game):
    """`ganlib.algorithm1.Game`, and whether its nets are S ones side by side (`ganlib.lab.speed.ensembles`).

    With ``side_by_side`` all shapes begin with S, each net has a loss of its own, and the figures are (4, S).
    """

    side_by_side: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # Batch normalisation makes samples meet: there every kind is a minibatch of its own.
        self.one_pass = not any(isinstance(n, nn.modules.batchnorm._BatchNorm) for n in self.discriminator.modules())
        if self.side_by_side:
            self.each: dict[str, Tensor] = {}
            self.d_loss, self.g_loss = self._summed("d", self.d_loss), self._summed("g", self.g_loss)

    def logits(self, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        players.check_samples(x, fake)
        if not self.one_pass:
            return self._one_a_sample(x), self._one_a_sample(fake)
        run = current()
        with nullcontext() if run is None else run.in_parts(2):  # two minibatches, for dropout's masks
            real_logits, fake_logits = self._one_a_sample(torch.cat([x, fake], int(self.side_by_side))).chunk(2, -1)
        return real_logits, fake_logits

    def figures(self, d_loss: Tensor, g_loss: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if self.side_by_side:
            d_loss, g_loss = self.each["d"], self.each["g"]
        d_real, d_fake = real_logits.sigmoid().mean(-1), fake_logits.sigmoid().mean(-1)
        return torch.stack([d_loss, g_loss, d_real, d_fake]).detach()

    def _one_a_sample(self, samples: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(samples)
        if self.side_by_side:
            players.one_a_sample(logits.flatten(0, 1) if logits.ndim > 1 else logits, samples.flatten(0, 1))
            return logits
        return players.one_a_sample(logits, samples)

    def _summed(self, name: str, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The sum of S losses, whose gradient in each net is that of its own; they are kept for the figures."""

        def total(*logits: Tensor) -> Tensor:
            losses: Tensor = torch.vmap(loss)(*logits)
            self.each[name] = losses.detach()
            return losses.sum()

        return total
