"""The game as a full-length run plays it, against the lecture's: the same step, from one pass and for many nets."""

import copy

import pytest
import torch
from torch import nn

from ganlib import toys
from ganlib.algorithm1 import Game, iteration, simultaneous_iteration
from ganlib.lab.speed.ensembles import ManySeeds
from ganlib.lab.speed.game import FastGame
from ganlib.nets import MLP
from ganlib.sampling import Latent

DATA, LATENT = toys.gaussian(), Latent(2)


def weights(*nets):
    return torch.cat([p.detach().flatten() for net in nets for p in net.parameters()])


def sgd(*nets):
    return [torch.optim.SGD(net.parameters(), 1.0) for net in nets]


def norm(sizes):
    return nn.Sequential(nn.Linear(*sizes), nn.BatchNorm1d(sizes[1]), nn.Tanh(), nn.Linear(sizes[1], 1), nn.Flatten(0))


@pytest.mark.parametrize("step", [iteration, simultaneous_iteration])
@pytest.mark.parametrize("discriminator", [MLP((1, 4, 1)), norm((1, 4))])
def test_a_step_and_its_figures_are_the_lecture_s(step, discriminator):
    found = []
    for kind in (Game, FastGame):
        torch.manual_seed(0)
        d, g = copy.deepcopy(discriminator), MLP((2, 4, 1), squeeze=False)
        figures = step(kind(g, d, DATA, LATENT, *sgd(d, g), m=6), torch.Generator().manual_seed(0))
        found.append(torch.cat([figures, weights(d, g), *(b.flatten() for b in d.buffers())]))
    torch.testing.assert_close(found[0], found[1])


def test_samples_meet_only_where_there_is_no_batch_normalisation():
    for discriminator, passes in ((MLP((1, 4, 1)), [12]), (norm((1, 4)), [6, 6])):
        seen = []
        discriminator.register_forward_hook(lambda _, inputs, output, seen=seen: seen.append(len(inputs[0])))
        generator = MLP((2, 4, 1), squeeze=False)
        game = FastGame(generator, discriminator, DATA, LATENT, *sgd(discriminator, generator), m=6)
        game.logits(torch.randn(6, 1), torch.randn(6, 1))
        assert seen == passes


class Side(nn.Module):
    """Nets side by side: (S, m, ...) to (S, m, ...)."""

    def __init__(self, *nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, x):
        return torch.stack([net(part) for net, part in zip(self.nets, x, strict=True)])


@pytest.mark.parametrize("step", [iteration, simultaneous_iteration])
def test_nets_side_by_side_learn_and_report_as_each_does_alone(step):
    torch.manual_seed(0)
    ds, gs = [MLP((1, 4, 1)) for _ in range(2)], [MLP((2, 4, 1), squeeze=False) for _ in range(2)]
    together = Side(*copy.deepcopy(ds)), Side(*copy.deepcopy(gs))
    rngs = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    sources = ManySeeds(DATA), ManySeeds(LATENT)
    game = FastGame(together[1], together[0], *sources, *sgd(*together), m=10, side_by_side=True)
    figures = step(game, rngs)
    assert figures.shape == (4, 2)
    for i, (d, g) in enumerate(zip(ds, gs, strict=True)):
        alone = step(Game(g, d, DATA, LATENT, *sgd(d, g), m=10), torch.Generator().manual_seed(3 + i))
        torch.testing.assert_close(figures[:, i], alone)
        torch.testing.assert_close(weights(together[0].nets[i], together[1].nets[i]), weights(d, g))


@pytest.mark.parametrize("shape", [lambda t: t[..., None], lambda t: t.mean(-1), lambda t: t.repeat(1, 2)])
def test_nets_side_by_side_must_give_one_logit_a_sample(shape):
    class Shaped(Side):
        def forward(self, x):
            return shape(super().forward(x))

    d, g = Shaped(MLP((1, 4, 1)), MLP((1, 4, 1))), Side(*(MLP((2, 4, 1), squeeze=False) for _ in range(2)))
    game = FastGame(g, d, ManySeeds(DATA), ManySeeds(LATENT), *sgd(d, g), m=10, side_by_side=True)
    before = weights(d, g)
    with pytest.raises(ValueError, match=r"logits have shape"):
        iteration(game, [torch.Generator(), torch.Generator()])
    assert torch.equal(weights(d, g), before)
