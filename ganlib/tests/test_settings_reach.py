"""Every setting of a run reaches what it says, with its value, and the player it is for.

The loops are written from the papers, with numbers of their own: none of `ganlib.losses`, `ganlib.lab.optimisers` or
`ganlib.nets.paper` takes part. The two players' settings differ everywhere, so that one cannot stand for the other.
"""

import math
from dataclasses import fields

import pytest
import torch
from scipy.stats import kstest, norm, uniform
from torch import nn

from ganlib.lab import optimisers, runs
from ganlib.lab.randomness import Randomness
from ganlib.lab.speed import graphs
from ganlib.lab.training import Training
from ganlib.nets.layers import Dropout

TOY = {"width": 8, "depth": 2, "latent_dim": 3, "m": 12, "iterations": 9, "every": 3, "d_lr": 0.05, "g_lr": 0.02}
SGD = {
    **TOY,
    "optimiser": "sgd",
    "beta1": 0.9,
    "momentum": 0.5,
    "momentum_final": 0.8,
    "momentum_epochs": 3,
    "epoch": 2,
    "lr_decay": 1.3,
    "lr_floor": 0.0125,
}
ADAM = {**TOY, "beta1": 0.3, "beta2": 0.6}


def gradients(game, step, k, loss, reduction):
    """D's or G's gradients by the formulas of the paper's section 3, on fresh minibatches; and the parameters."""
    generator, discriminator, data, latent, m, rng = game
    z = latent.minibatch(m, rng)
    if step < k:
        x = data.minibatch(m, rng)
        on_real, on_fake = discriminator(x).sigmoid(), discriminator(generator(z)).sigmoid()
        minus_v = -(on_real.log() + (1 - on_fake).log()).mean()
        parameters, value = list(discriminator.parameters()), minus_v / 2 if reduction == "mean" else minus_v
    else:
        d = discriminator(generator(z)).sigmoid()
        parameters, value = list(generator.parameters()), (1 - d).log().mean() if loss == "minimax" else -d.log().mean()
    return parameters, torch.autograd.grad(value, parameters)


def by_hand(run, rule):
    """Both players' weights after the run, each step of size ``rule(player, done, state, gradient)``."""
    data, latent = runs.load_data(run), runs.latent(run)
    generator, discriminator = runs.networks(run, 3, data)
    state = {p: {} for net in (generator, discriminator) for p in net.parameters()}
    random = Randomness([3], torch.device("cpu"))
    game = generator, discriminator, data, latent, run.m, random.generators[0]
    with random:
        for done in range(run.iterations):
            for step in range(run.k + 1):
                player = "D" if step < run.k else "G"
                for p, g in zip(*gradients(game, step, run.k, run.loss, run.reduction), strict=True):
                    with torch.no_grad():
                        p -= rule(player, done, state[p], g)
    return [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (generator, discriminator)]


def moved(run, end):
    """How far each player went in all, as a share of which differences are told."""
    start = runs.networks(run, 3, runs.load_data(run))
    return [(w - nn.utils.parameters_to_vector(net.parameters())).norm() for net, w in zip(start, end, strict=True)]


def assert_trained_as(run, rule):
    training = Training(run, seeds=[3], device="cpu")
    list(training.reports())
    expected = by_hand(run, rule)
    for net, want, way in zip(training.networks(), expected, moved(run, expected), strict=True):
        found = nn.utils.parameters_to_vector(net.parameters()).detach()
        assert way > 1e-3
        assert (found - want).norm() < 1e-3 * way


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(("loss", "reduction"), [("minimax", "sum"), ("non-saturating", "mean")])
def test_sgd_has_each_players_rate_the_decay_the_floor_and_the_momentum(k, loss, reduction):
    """By the original's rules: rate / 1.3^t, at least .0125 (D's reaches it after 6 iterations, G's after 2), and
    momentum .5, .65 and .8 in epochs 1, 2 and 3, of two iterations each."""
    run = runs.get("ring8", {**SGD, "k": k, "loss": loss, "reduction": reduction})

    def rule(player, done, state, gradient):
        momentum = [0.5, 0.5, 0.65, 0.65, 0.8, 0.8, 0.8, 0.8, 0.8][done]
        rate = max({"D": 0.05, "G": 0.02}[player] / 1.3**done, 0.0125)
        state["speed"] = momentum * state.get("speed", 0.0) + gradient
        return rate * state["speed"]

    assert_trained_as(run, rule)


def test_adam_is_the_papers_with_each_players_rate_and_both_betas():
    """Kingma & Ba (2015), algorithm 1, with their epsilon."""
    run = runs.get("ring8", {**ADAM, "k": 2, "loss": "minimax"})

    def rule(player, done, state, gradient):
        t = state["t"] = state.get("t", 0) + 1
        m = state["m"] = 0.3 * state.get("m", 0.0) + 0.7 * gradient
        v = state["v"] = 0.6 * state.get("v", 0.0) + 0.4 * gradient**2
        return {"D": 0.05, "G": 0.02}[player] * (m / (1 - 0.3**t)) / ((v / (1 - 0.6**t)).sqrt() + 1e-8)

    assert_trained_as(run, rule)


def test_adams_epsilon_is_the_papers():
    """A first step on a gradient of 1e-8 is half of one on a large gradient: g / (|g| + 1e-8)."""
    net = nn.Linear(1, 1, bias=False)
    optimiser = optimisers.build(runs.get("ring8"), net, 0.5)
    before, net.weight.grad = net.weight.item(), torch.full((1, 1), 1e-8)
    optimiser.step()
    assert before - net.weight.item() == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("final", [0.0, 0.5])
def test_a_rate_that_decays_without_momentum_decays(final):
    run = runs.get("ring8", {**SGD, "momentum": final, "momentum_final": final})
    steps = [nn.Linear(1, 1, bias=False) for _ in "DG"]
    players = [optimisers.build(run, net, lr) for net, lr in zip(steps, (0.05, 0.02), strict=True)]
    optimisers.schedule(run, *players)(1)
    groups = [one.param_groups[0] for one in players]
    assert [group["lr"] for group in groups] == pytest.approx([0.05 / 1.3, 0.02 / 1.3])
    assert [group["momentum"] for group in groups] == [final, final]


def test_moving_tensors_are_each_players_own():
    """Two players with other rates and momenta, moved as tensors: the steps that plain numbers give."""
    both = [nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    plain = [each.detach().clone() for each in both]
    speed = [torch.zeros(2) for _ in both]
    players = tuple(torch.optim.SGD([p], lr=1.0, momentum=0.5) for p in both)

    def rates(done):
        return [(0.1 / (done + 1), 0.5 + 0.05 * done), (0.3 / (done + 2), 0.9 - 0.05 * done)]

    def schedule(done):
        for player, (lr, momentum) in zip(players, rates(done), strict=True):
            player.param_groups[0].update(lr=lr, momentum=momentum)

    moving = graphs.Moving(players, schedule, 3, torch.device("cpu"))
    for start in (0, 3):
        moving.plan(start, 3)
        for done in range(start, start + 3):
            moving.advance()
            for i, (player, (lr, momentum)) in enumerate(zip(players, rates(done), strict=True)):
                gradient = both[i].detach() + done
                both[i].grad = gradient.clone()
                player.step()
                speed[i] = momentum * speed[i] + (plain[i] + done)
                plain[i] = plain[i] - lr * speed[i]
    for moved_one, expected in zip(both, plain, strict=True):
        torch.testing.assert_close(moved_one.detach(), expected, rtol=1e-5, atol=0)


def test_a_restored_state_lies_in_memory_like_its_parameter():
    parameter = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    saved = {"exp_avg": torch.randn(4, 3, 5, 5), "step": torch.tensor(7.0)}
    found = optimisers.restored(saved, parameter)
    assert found["exp_avg"].stride() == parameter.stride() != saved["exp_avg"].stride()
    assert all(torch.equal(found[key], saved[key]) for key in saved)
    assert all(found[key].data_ptr() != saved[key].data_ptr() for key in saved)


@pytest.mark.parametrize("keep", [0.8, 0.5, 0.3])
def test_dropout_inside_a_run_is_rescaled_and_keeps_the_share_it_says(keep):
    shape, inputs = (200, 500), torch.rand(200, 500) + 1
    layer, n = Dropout(keep), 200 * 500
    with Randomness([5], torch.device("cpu")) as run, run.in_parts(2):
        alone = layer(inputs)
    with Randomness([5, 6], torch.device("cpu")):
        together = torch.vmap(layer, randomness="different")(torch.stack([inputs, inputs]))
    outside = layer(inputs)
    for masked in (alone, *together, outside):
        assert masked.shape == shape
        kept = masked != 0
        assert kept.double().mean().item() == pytest.approx(keep, abs=4 * math.sqrt(keep * (1 - keep) / n))
        torch.testing.assert_close(masked[kept], inputs[kept] / keep)  # so that the mean stays


def test_parts_end_with_their_context():
    with Randomness([5], torch.device("cpu")) as run:
        with run.in_parts(2):
            run.keep_mask(torch.Size([4, 3]), 0.5, torch.float32)
        assert run.keep_mask(torch.Size([3, 3]), 0.5, torch.float32).shape == (3, 3)  # an odd number has no halves


@pytest.mark.parametrize(
    ("overrides", "law"),
    [
        ({}, norm(0, 1)),
        ({"latent_law": "uniform"}, uniform(-math.sqrt(3), 2 * math.sqrt(3))),
        ({"latent_law": "uniform", "latent_low": -1.0, "latent_high": 0.5}, uniform(-1, 1.5)),
    ],
)
def test_noise_follows_the_law_it_is_said_to_follow_coordinate_by_coordinate(overrides, law):
    z = runs.latent(runs.get("ring8", {"latent_dim": 3, **overrides})).minibatch(4000, torch.Generator().manual_seed(0))
    assert z.shape == (4000, 3)
    for coordinate in z.T:
        assert kstest(coordinate.numpy(), law.cdf).pvalue > 1e-3
    assert torch.corrcoef(z.T).fill_diagonal_(0).abs().max() < 4 / math.sqrt(4000)


# What a run starts from: ranges U(-r, r) by layer, biases, shapes. From the published configuration files.
WEIGHTS = {
    "mnist-paper": ({"hidden1": 0.05, "hidden2": 0.05, "output": 0.05}, {"hidden1": 0, "hidden2": 0}),
    "cifar10-fc": ({"hidden1": 0.05, "hidden2": 0.05, "output": 0.5}, {"hidden1": 0, "hidden2": 0, "output": 0}),
    "tfd": ({"hidden1": 0.05, "hidden2": 0.05}, {"hidden1": 0, "hidden2": -2}),
    "cifar10-conv": ({"hidden1": 0.05, "hidden2": 0.05, "output": 0.05}, {"hidden1": 0, "hidden2": 0}),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_runs_generator_starts_in_the_published_ranges_and_its_discriminator_in_its_own(name):
    ranges, biases = WEIGHTS[name]
    generator, discriminator = runs.networks(runs.get(name, {"width": 200, "units": 20}), 0, None)
    for layer, bound in ranges.items():
        weight = generator.get_submodule(layer).weight
        assert 0.97 * bound < weight.abs().max() <= bound, layer
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05), layer
    for layer, bias in biases.items():
        assert (generator.get_submodule(layer).bias == bias).all(), layer
    for layer, parameter in discriminator.named_parameters():
        if layer.endswith("bias"):
            assert (parameter == 0).all(), layer
        else:
            assert parameter.abs().max() <= 0.005, layer
            assert parameter.numel() < 500 or parameter.abs().max() > 0.97 * 0.005, layer
    if name == "tfd":
        assert ((generator.output.weight != 0).sum(1) == 100).all()


@pytest.mark.parametrize("name", ["mnist-paper", "cifar10-fc", "tfd"])
def test_a_runs_generator_has_the_published_activations(name):
    generator, _ = runs.networks(runs.get(name, {"width": 120, "units": 4}), 0, None)
    z = torch.randn(5, 100)
    one, two, three = (
        (layer.weight.T, layer.bias) for layer in (generator.hidden1, generator.hidden2, generator.output)
    )
    h = (z @ one[0] + one[1]).clamp(min=0) @ two[0] + two[1]
    h = (h.clamp(min=0) if name == "mnist-paper" else 1 / (1 + (-h).exp())) @ three[0] + three[1]
    torch.testing.assert_close(generator(z), h if name == "cifar10-fc" else 1 / (1 + (-h).exp()))


def test_the_second_stage_starts_its_front_as_published():
    generator, _ = runs.networks(runs.get("tfd-stage2", {"width": 120, "units": 4, "pretrained": "x"}), 0, None)
    assert (generator.hidden1.bias == 0).all()
    assert (generator.hidden2.bias == -2).all()
    for layer in (generator.hidden1, generator.hidden2):
        assert 0.95 * 0.05 < layer.weight.abs().max() <= 0.05
    assert generator.hidden2.out_features == 100


def test_dcgan_starts_at_its_papers_scales_in_batch_normalisation_too():
    torch.manual_seed(0)
    for net in runs.networks(runs.get("dcgan-mnist"), 0, None):
        norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
        scales = torch.cat([norm.weight.detach() for norm in norms])
        assert norms
        assert scales.mean().item() == pytest.approx(1, abs=4 * 0.02 / math.sqrt(len(scales)))
        assert scales.std().item() == pytest.approx(0.02, rel=4 / math.sqrt(2 * len(scales)))
        assert all((norm.bias == 0).all() and norm.momentum == 0.1 and norm.eps == 1e-5 for norm in norms)


# A small run each, and another value of the setting; what is seen to change: "D" or "G" at the start (shapes or
# weights; the net made second has other random numbers where the first has another shape), "x" or "z" drawn, a player
# after its "first" iteration, or only "later" on.
MLP = ("ring8", {"width": 6, "m": 8, "iterations": 4, "every": 2})
PAPER = (
    "mnist-paper",
    {"data": "digits", "examples": 200, "width": 8, "units": 3, "m": 10, "iterations": 4, "every": 2},
)
DIGITS = PAPER[1]
PLAIN_SGD = (MLP[0], {**MLP[1], "optimiser": "sgd", "beta1": 0.9, "d_lr": 0.1, "g_lr": 0.1})
SEEN = {
    "data": (*MLP, "grid25", {"x"}),
    "preprocessing": ("cifar10-fc", {**DIGITS, "image_size": 28}, "unit", {"x"}),
    "image_size": (*PAPER, 14, {"x", "G", "D"}),
    "examples": (*PAPER, 100, {"x", "G"}),
    "nets": ("cifar10-fc", {**DIGITS, "preprocessing": "unit"}, "paper", {"G"}),
    "width": (*MLP, 7, {"G", "D"}),
    "depth": (*MLP, 3, {"G", "D"}),
    "activation": (*MLP, "tanh", {"first D", "first G"}),
    "units": (*PAPER, 4, {"D", "G"}),
    "pieces": (*PAPER, 4, {"D", "G"}),
    "stage": ("tfd", {**DIGITS, "width": 120}, 2, {"G"}),
    "latent_dim": (*MLP, 5, {"z", "G", "D"}),
    "latent_law": (*MLP, "uniform", {"z"}),
    "latent_low": (*PAPER, -1.0, {"z"}),
    "latent_high": (*PAPER, 1.0, {"z"}),
    "update": (*PLAIN_SGD, "simultaneous", {"first G"}),
    "k": (*MLP, 2, {"first D", "first G"}),
    "m": (*MLP, 9, {"x", "z"}),
    "loss": (*PLAIN_SGD, "minimax", {"first G"}),
    "reduction": (*PLAIN_SGD, "mean", {"first D", "first G"}),
    "optimiser": (MLP[0], {**MLP[1], "beta1": 0.9}, "sgd", {"first D", "first G"}),
    "d_lr": (*PLAIN_SGD, 0.05, {"first D", "first G"}),
    "g_lr": (*PLAIN_SGD, 0.05, {"first G"}),
    "beta1": (*MLP, 0.2, {"later"}),
    "beta2": (*MLP, 0.5, {"later"}),
    "momentum": (PLAIN_SGD[0], {**PLAIN_SGD[1], "momentum_epochs": 3}, 0.5, {"later"}),
    "momentum_final": (*PLAIN_SGD, 0.5, {"later"}),
    "momentum_epochs": (PLAIN_SGD[0], {**PLAIN_SGD[1], "momentum_final": 0.5, "momentum_epochs": 2}, 4, {"later"}),
    "lr_decay": (*PLAIN_SGD, 1.5, {"later"}),
    "lr_floor": (PLAIN_SGD[0], {**PLAIN_SGD[1], "lr_decay": 1.5}, 0.09, {"later"}),
    "max_norm": (*PLAIN_SGD, 0.1, {"first D", "first G"}),
    "epoch": (PLAIN_SGD[0], {**PLAIN_SGD[1], "momentum_final": 0.5, "momentum_epochs": 3}, 3, {"later"}),
}
ELSEWHERE = {"name", "source", "iterations", "every", "pretrained"}  # test_runs.py, and the lengths of every other test


def test_every_setting_is_looked_at():
    assert SEEN.keys() | ELSEWHERE == {each.name for each in fields(runs.Run)}
    assert not SEEN.keys() & ELSEWHERE


def look(run):
    """What can be seen of a run: its nets at the start, what it draws, its nets after one iteration and at the end."""
    data = runs.load_data(run)
    rng = torch.Generator().manual_seed(1)
    pretrained = run.stage == 2
    nets = runs.networks(run, 1, None if pretrained else data)
    seen = {
        name: nn.utils.parameters_to_vector(net.parameters()).detach() for name, net in zip("GD", nets, strict=True)
    }
    seen |= {"x": data.minibatch(run.m, rng), "z": runs.latent(run).minibatch(run.m, rng)}
    if pretrained:
        return seen
    training = Training(run, seeds=[1], device="cpu")
    for when, more in (("first ", 1), ("later ", run.iterations - 1)):
        training.advance(more)
        for name, net in zip("GD", training.networks(), strict=True):
            seen[when + name] = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
    return seen


def differ(one, other):
    """By more than rounding: Adam's first step hardly depends on its betas."""
    return one.shape != other.shape or not torch.allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("setting", SEEN)
def test_a_setting_changes_what_it_should_and_nothing_before(setting):
    name, base, other, first = SEEN[setting]
    one, two = (runs.get(name, {**base, **more}) for more in ({}, {setting: other}))
    assert getattr(one, setting) != getattr(two, setting)
    mine, theirs = look(one), look(two)
    changed = {key for key in mine.keys() & theirs.keys() if differ(mine[key], theirs[key])}
    start, early = {"G", "D", "x", "z"}, {"first G", "first D"}
    if first == {"later"}:
        assert changed == {"later G", "later D"}
    elif first <= early:
        assert changed & (start | early) == first
    else:
        assert changed & start == first
