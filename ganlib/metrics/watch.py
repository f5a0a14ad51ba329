"""What a run's figures mean when they mean trouble, said in words, once a run.

A D loss of 0.000, or D(G(z)) = .500 in every report, is easily overlooked, or taken for success. `Watch` looks at each
report, and at how far the weights have moved since the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ganlib import limits

# D has won where it errs by less than this on real and on generated samples, on average. The committed run that was
# there (mnist-paper, seed 1) came back to a game, 20,000 iterations later.
WON = 1e-3
# The minimax loss multiplies G's gradient by D(G(z)), 1/2 at the equilibrium. An optimiser with an ``eps``, such
# as Adam, divides by the gradient's own size and so undoes the factor.
SATURATED = 1e-2
# Both nets have stopped where the weights of each have moved by less than this share of their length between two
# reports: a few roundings of float32. One alone may be as slow and get going: the paper's G before its D has weights of
# some size. It has stopped where not a bit of it has moved.
STILL = 1e-6
# All this must last for so many iterations, or for half of a shorter run: early in a run it may be so for a moment.
LASTING = 100
# Weights of each tensor that are watched, at random places.
WATCHED = 1024


class Watch:
    """Looks at the reports of a training.

    Parameters
    ----------
    game : whose, a `ganlib.algorithm1.Game`.
    iterations : of the whole run.
    seeds : how many are trained side by side, along the first axis of every weight; 0 for one alone.
    """

    def __init__(self, game: Any, iterations: int, seeds: int = 0) -> None:
        limits.check("iterations", iterations, most=limits.STEPS)
        limits.check("seeds", seeds, 0, limits.SEEDS)
        for name in ("generator", "discriminator", "g_optimiser", "loss"):
            if not hasattr(game, name):
                raise TypeError(f"game is {limits.shown(game)}; give a ganlib.algorithm1.Game")
        self.game, self.seeds = game, seeds
        self.lasting = max(min(LASTING, iterations // 2), 1)
        self.said: list[set[str]] = [set() for _ in range(max(seeds, 1))]
        rng = torch.Generator().manual_seed(0)
        self.places = {
            name: [self._places(p, rng) for p in net.parameters() if p.requires_grad]
            for name, net in self._nets().items()
        }
        self.begin(0)

    def begin(self, iteration: int) -> None:
        """Watch from this iteration on: at the start, and where a state was loaded."""
        self.last = iteration
        self.since: list[dict[str, int]] = [{} for _ in self.said]
        self.before = self._weights()

    def remarked(self, reports: Sequence[Any]) -> list[Any]:
        """The reports, one a seed, each with what there is to say of it and has not been said of that seed."""
        after = self._weights()
        moved = {
            name: ((after[name] - self.before[name]).norm(dim=1) / after[name].norm(dim=1).clamp(min=1e-30)).tolist()
            for name in after
        }
        self.before = after
        found = []
        for i, report in enumerate(reports):
            troubles = self._troubles(report, moved["generator"][i], moved["discriminator"][i])
            since = {kind: self.since[i].get(kind, self.last) for kind in troubles}
            new = [
                kind
                for kind, start in since.items()
                if report.iteration - start >= self.lasting and kind not in self.said[i]
            ]
            self.since[i] = since
            self.said[i].update(new)
            found.append(replace(report, remark=" ".join(troubles[kind] for kind in new)))
        self.last = reports[0].iteration
        return found

    def _troubles(self, report: Any, g_moved: float, d_moved: float) -> dict[str, str]:
        """What there is to say at this report, by kind of trouble, with the shares that the nets have moved by."""
        found = {}
        if report.d_real > 1 - WON and report.d_fake < WON:
            found["won"] = (
                f"D has won: it tells the samples from the data (mean D(x) {report.d_real:.4f}, mean D(G(z)) "
                f"{report.d_fake:.4f}). G may come back or not: look at samples; try a lower learning rate for D, or a "
                'higher one for G. The chapter algorithm-1 explains it under "D too strong".'
            )
        scaled = any("eps" in group for group in self.game.g_optimiser.param_groups)
        if self.game.loss == "minimax" and report.d_fake < SATURATED and not scaled:
            found["gone"] = (
                f"G's gradient is gone: the minimax loss multiplies it by D(G(z)), {report.d_fake:.1e} on average. Try "
                "the loss non-saturating. The chapter value-function explains it under "
                '"Two losses for the generator".'
            )
        elif g_moved == 0 and d_moved > STILL:
            found["gone"] = (
                "G has stopped moving: its gradient is gone, or its learning rate is 0. Look at the rate, and for a G "
                "or a D whose output is constant or rounded. The chapter what-came-after explains it under "
                '"What speaks for it".'
            )
        if max(g_moved, d_moved) < STILL:
            found["still"] = (
                f"G and D have stopped moving, with a mean D(G(z)) of {report.d_fake:.3f}: that alone is no success. "
                "Look at both learning rates, and at samples. The chapter algorithm-1 explains it under "
                '"One half is not success".'
            )
        elif d_moved == 0:
            found["still"] = (
                "D has stopped moving: its gradient is gone, or its learning rate is 0, and G runs after a D that does "
                'not answer. Look at its rate. The chapter algorithm-1 explains it under "G trained too much".'
            )
        return found

    def _nets(self) -> dict[str, nn.Module]:
        return {"generator": self.game.generator, "discriminator": self.game.discriminator}

    def _places(self, parameter: Tensor, rng: torch.Generator) -> Tensor:
        numbers = parameter.numel() // max(self.seeds, 1)
        places = torch.arange(numbers) if numbers <= WATCHED else torch.randint(numbers, (WATCHED,), generator=rng)
        return places.to(parameter.device)

    @torch.no_grad()
    def _weights(self) -> dict[str, Tensor]:
        """The watched weights of both nets, a row a seed."""
        rows = max(self.seeds, 1)
        return {
            name: torch.cat(
                [
                    p.reshape(rows, -1)[:, places].float()
                    for p, places in zip(
                        (p for p in net.parameters() if p.requires_grad), self.places[name], strict=True
                    )
                ],
                1,
            )
            for name, net in self._nets().items()
        }
