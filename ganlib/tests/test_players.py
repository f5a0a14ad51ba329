"""Players that cannot learn are refused before the first step, with nothing disturbed; others are let through."""

import copy
import re

import pytest
import torch
from torch import nn

from ganlib import data, nets, toys
from ganlib.algorithm1 import Game, algorithm1
from ganlib.nets import players
from ganlib.sampling import Latent

LATENT, RING, DIGITS = Latent(4), toys.ring(), data.load("digits").first(200).flattened()


class Ending(nn.Module):
    """A small net with dropout and batch normalisation, and a function at its end."""

    def __init__(self, inputs, outputs, end=lambda y: y, hidden=6):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Dropout(0.5), nn.Linear(hidden, outputs)
        )
        self.end = end

    def forward(self, x):
        return self.end(self.layers(x))


def one(y):
    return y.squeeze(-1)


def sgd(generator, discriminator):
    return {
        "d_optimiser": torch.optim.SGD(discriminator.parameters(), 0.1, momentum=0.5),
        "g_optimiser": torch.optim.SGD(generator.parameters(), 0.1, momentum=0.5),
    }


def tensors(*modules):
    return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def refused(says, generator, discriminator, source, settings=None):
    """The run is refused, with both nets, their modes, the optimisers and the random numbers as they were."""
    settings = settings or sgd(generator, discriminator)
    before, numbers = tensors(generator, discriminator), torch.get_rng_state()
    modes = [module.training for net in (generator, discriminator) for module in net.modules()]
    with pytest.raises(ValueError, match=says):
        list(algorithm1(generator, discriminator, source, LATENT, **settings, iterations=2, m=20))
    assert all(map(torch.equal, tensors(generator, discriminator), before))
    assert [module.training for net in (generator, discriminator) for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), numbers)
    assert not any(optimiser.state for optimiser in settings.values())


@pytest.mark.parametrize(
    "end",
    [
        lambda y: one(y).sigmoid(),
        lambda y: y.sigmoid()[:, 0],
        lambda y: one(y).sigmoid().clamp(1e-6, 1 - 1e-6),
        lambda y: one(y).tanh() / 2 + 0.5,
        lambda y: nn.functional.hardsigmoid(one(y)),
        lambda y: torch.cat([y, -y], 1).softmax(1)[:, 0],
        lambda y: y.expand(-1, 4).sigmoid().mean(1),
    ],
)
def test_a_discriminator_that_ends_in_a_sigmoid_is_refused(end):
    torch.manual_seed(0)
    refused(r"D's outputs lie in \[0, 1\].*sigmoid", Ending(4, 2), Ending(2, 1, end), RING)


def test_sigmoid_modules_are_found_in_every_layout():
    torch.manual_seed(0)
    for tail in ((nn.Sigmoid(), nn.Flatten(0)), (nn.Flatten(0), nn.Sigmoid())):
        refused("sigmoid", Ending(4, 2), nn.Sequential(nn.Linear(2, 1), *tail), RING)


@pytest.mark.parametrize("seed", range(30))
def test_logits_in_the_unit_interval_by_chance_are_let_through(seed):
    """All zero, or small nets whose output's bias decides: many of these begin with every logit in [0, 1]."""
    torch.manual_seed(seed)
    for discriminator in (Ending(2, 1, one), nets.MLP((2, 1)), nets.MLP((2, 2, 1), "tanh")):
        with torch.no_grad():
            for parameter in list(discriminator.parameters())[-2:]:
                parameter.mul_(0)
            if seed:
                parameter.fill_(0.5)
        generator = nets.MLP((4, 2))
        game = Game(generator, discriminator, RING, LATENT, **sgd(generator, discriminator))
        x = RING.minibatch(20, torch.Generator())
        discriminator.eval()
        logits = discriminator(x)
        assert logits.min() >= 0
        assert logits.max() <= 1
        players.check_minibatch(game, torch.randn(20, 4), x)


@pytest.mark.parametrize(
    ("end", "source", "says"),
    [
        (torch.sigmoid, DIGITS.scaled(-1, 1), "data lie in [-1, 1], G's outputs in [0, 1]"),
        (torch.sigmoid, DIGITS.scaled(0, 255), "data lie in [0, 255], G's outputs in [0, 1]"),
        (torch.tanh, DIGITS, "data lie in [0, 1], G's outputs in [-1, 1]"),
        (torch.tanh, DIGITS.scaled(0, 255), "data lie in [0, 255], G's outputs in [-1, 1]"),
        (torch.tanh, DIGITS.normalised(), "G's outputs in [-1, 1]"),
        (torch.relu, DIGITS.scaled(-1, 1), "data lie in [-1, 1], G's outputs in [0, inf]"),
    ],
)
def test_data_of_another_range_than_the_generators_are_refused(end, source, says):
    torch.manual_seed(0)
    refused(re.escape(says), Ending(4, 784, end), Ending(784, 1, one), source)


class Own:
    """A source that does not say what its range is."""

    def __init__(self, source):
        self.source = source

    def minibatch(self, m, rng):
        return self.source.minibatch(m, rng)


@pytest.mark.parametrize(
    ("end", "source", "fits"),
    [
        (torch.tanh, DIGITS, False),
        (torch.tanh, DIGITS.scaled(-1, 1), True),
        (torch.sigmoid, DIGITS.scaled(-1, 1), False),
        (torch.sigmoid, DIGITS, True),
        (torch.sigmoid, DIGITS.scaled(0, 255), False),
        (lambda y: y, DIGITS.scaled(0, 255), True),
    ],
)
def test_the_range_of_a_source_that_names_none_is_read_from_its_minibatch(end, source, fits):
    torch.manual_seed(0)
    generator, discriminator = Ending(4, 784, end), Ending(784, 1, one)
    if fits:
        list(algorithm1(generator, discriminator, Own(source), LATENT, **sgd(generator, discriminator), iterations=1))
    else:
        refused("the data lie in", generator, discriminator, Own(source))


@pytest.mark.parametrize(
    ("generator", "discriminator", "source"),
    [
        (lambda: nets.MLP((4, 8, 2)), lambda: nets.MLP((2, 8, 1)), toys.grid()),
        (lambda: nn.Sequential(nets.MLP((4, 8, 2)), nn.Tanh()), lambda: nets.MLP((2, 8, 1)), RING),  # ring: to 1.06
        (lambda: nets.PaperGenerator(4, 8), lambda: nets.MaxoutDiscriminator(units=4), DIGITS),
        (lambda: nets.PaperGenerator(4, 8, output="linear"), lambda: nets.MLP((784, 1)), DIGITS.normalised()),
        (lambda: nets.BatchNormGenerator(4, 784, 4), lambda: nets.MLP((784, 8, 1)), DIGITS.scaled(-1, 1)),
        (
            lambda: nets.DCGANGenerator(width=4, latent_dim=4),
            lambda: nets.DCGANDiscriminator(width=4),
            data.load("digits").first(50).scaled(-1, 1),
        ),
    ],
)
def test_ganlibs_own_players_are_let_through(generator, discriminator, source):
    torch.manual_seed(0)
    generator, discriminator = generator(), discriminator()
    (report,) = algorithm1(generator, discriminator, source, LATENT, **sgd(generator, discriminator), iterations=1, m=4)
    assert report.iteration == 1


def test_a_look_changes_no_step(monkeypatch):
    """Batch normalisation and dropout, with the look and without: the same bits."""
    torch.manual_seed(0)
    generator, discriminator = Ending(4, 784, torch.sigmoid), Ending(784, 1, one)
    twin = copy.deepcopy((generator, discriminator))
    list(algorithm1(generator, discriminator, DIGITS, LATENT, **sgd(generator, discriminator), iterations=3, m=8))
    monkeypatch.setattr(players, "look", lambda *_: None)
    list(algorithm1(*twin, DIGITS, LATENT, **sgd(*twin), iterations=3, m=8))
    assert all(map(torch.equal, tensors(generator, discriminator), tensors(*twin)))


def test_a_layer_that_is_not_in_training_mode_stays_so():
    torch.manual_seed(0)
    generator, discriminator = Ending(4, 2), Ending(2, 1, one)
    discriminator.layers[1].eval()  # running statistics that the user wants kept
    before = tensors(discriminator.layers[1])
    list(algorithm1(generator, discriminator, RING, LATENT, **sgd(generator, discriminator), iterations=2))
    assert discriminator.training
    assert not discriminator.layers[1].training
    assert torch.equal(discriminator.layers[1].running_mean, before[2])


def pair():
    torch.manual_seed(0)
    return Ending(4, 2), Ending(2, 1, one)


def old(which):
    """Optimisers made before a net was made anew."""
    generator, discriminator = pair()
    return {name: one for name, one in sgd(generator, discriminator).items() if name[0] in which}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda G, D: old("d"),
            "d_optimiser holds 6 tensors that are not the discriminator's, perhaps an earlier net's",
        ),
        (lambda G, D: old("g"), "g_optimiser holds 6 tensors that are not the generator's"),
        (lambda G, D: old("dg"), r"make it from discriminator\.parameters\(\), after the net itself"),
        (lambda G, D: sgd(D, G), "d_optimiser holds 6 parameters of the generator"),
        (
            lambda G, D: {"d_optimiser": torch.optim.SGD([*D.parameters(), *G.parameters()], 0.1)},
            "d_optimiser holds 6 parameters of the generator",
        ),
        (
            lambda G, D: {"g_optimiser": torch.optim.Adam([{"params": G.layers[4].parameters()}], 0.1)},
            r"g_optimiser lacks 4 of the generator's 6 parameters \(layers.0.weight, layers.0.bias, .*, \.\.\.\)",
        ),
        (lambda G, D: D.requires_grad_(False) and {}, "the discriminator has no parameter with requires_grad=True"),
    ],
)
def test_optimisers_that_do_not_hold_exactly_their_own_nets_parameters_are_refused(change, says):
    generator, discriminator = pair()
    settings = sgd(generator, discriminator) | change(generator, discriminator)
    refused(says, generator, discriminator, RING, settings)
    with pytest.raises(ValueError, match=says):  # without a step asked for
        Game(generator, discriminator, RING, LATENT, **settings)


@pytest.mark.parametrize("held", [True, False])
def test_frozen_layers_may_be_held_or_not(held):
    generator, discriminator = pair()
    generator.layers[0].requires_grad_(False)
    settings = sgd(generator, discriminator)
    if not held:
        settings["g_optimiser"] = torch.optim.SGD([p for p in generator.parameters() if p.requires_grad], 0.1)
    before = generator.layers[0].weight.clone()
    list(algorithm1(generator, discriminator, RING, LATENT, **settings, iterations=2))
    assert torch.equal(generator.layers[0].weight, before)
