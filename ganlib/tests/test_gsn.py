"""Generative stochastic networks against loops written out, and their chains against enumerated transition matrices."""

import math
from functools import partial
from itertools import product

import pytest
import torch

from ganlib import data
from ganlib.lab.models.gsn import GSN
from ganlib.lab.models.learning import Descent

V = torch.tensor(list(product((0.0, 1.0), repeat=4)), dtype=torch.float64)


def network(visible=4, hidden=(3,), seed=0, scale=1.0, **settings):
    """Small, with weights and biases large enough to matter, in float64."""
    net, rng = GSN(visible, hidden, **settings).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return net


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(m=5, visible=4, seed=3):
    return torch.rand(m, visible, generator=seeded(seed), dtype=torch.float64)


# Written out, with nothing of the module's but the parameters' values.


def salted(x, share, rng):
    u = torch.rand(x.shape, generator=rng, dtype=x.dtype)
    kept, ones = (u >= share).to(x.dtype), (u < share / 2).to(x.dtype)
    return x * kept + ones


def gaussian(shape, std, rng):
    return std * torch.randn(shape, generator=rng, dtype=torch.float64) if std else torch.zeros(shape).double()


def two_layers(net, x, steps, rng, act=torch.tanh):
    """Each step's means: h1 from x and h2, then x from h1, then h2 from h1; all draws, also those nobody uses."""
    (w1, w2), (b0, b1, b2) = net.weights, net.biases
    std1, std2 = net.hidden_noise
    h2 = torch.zeros(len(x), len(b2)).double()
    x = salted(x, net.salt_and_pepper, rng)
    found = []
    for _ in range(steps):
        field = x @ w1 + h2 @ w2.T + b1 + gaussian((len(x), len(b1)), std1, rng)
        h1 = act(field) + gaussian(field.shape, std1, rng)
        p = 1 / (1 + torch.exp(-(h1 @ w1.T + b0)))
        found.append(p)
        x = (torch.rand(p.shape, generator=rng, dtype=p.dtype) < p).double() if net.input_sampling else p
        x = salted(x, net.salt_and_pepper, rng)
        field = h1 @ w2 + b2 + gaussian((len(x), len(b2)), std2, rng)
        h2 = act(field) + gaussian(field.shape, std2, rng)
    return found


def one_layer(net, x, steps, rng, act=torch.sigmoid):
    (w,), (b, c) = net.weights, net.biases
    found = []
    for _ in range(steps):
        x = salted(x, net.salt_and_pepper, rng)
        p = torch.sigmoid(act(x @ w + c) @ w.T + b)
        found.append(p)
        x = torch.bernoulli(p.detach(), generator=rng) if net.input_sampling else p
    return found


def cross_entropy(p, x):
    return -(x * p.log() + (1 - x) * (1 - p).log()).mean()


def gradients(loss, net):
    return torch.autograd.grad(loss, list(net.parameters()))


NETWORKS = {
    "as published": ({"hidden": (3, 2)}, two_layers),
    "noise in all layers": ({"hidden": (3, 2), "hidden_noise": (0.7, 0.3)}, two_layers),
    "means instead of samples": ({"hidden": (3, 2), "input_sampling": False}, two_layers),
    "no noise": (
        {"hidden": (3, 2), "hidden_noise": (0, 0), "salt_and_pepper": 0, "input_sampling": False},
        two_layers,
    ),
    "sigmoid": ({"hidden": (2, 3), "activation": "sigmoid"}, partial(two_layers, act=torch.sigmoid)),
    "autoencoder of means": ({"activation": "sigmoid", "input_sampling": False}, one_layer),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_chain_is_the_written_out_loop(name):
    settings, loop = NETWORKS[name]
    net, x = network(**settings), images()
    found = list(net.chain(x, 6, seeded()))
    wanted = loop(net, x, 6, seeded())
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-12, atol=1e-12)
    assert (found[0] - found[5]).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "walkbacks"), [("autoencoder of means", 1), *product(NETWORKS, (2, 5))])
def test_walkback_loss_and_its_gradient_are_those_of_the_written_out_loop(name, walkbacks):
    settings, loop = NETWORKS[name]
    net, x = network(**settings), images()
    loss = net.loss(x, seeded(), walkbacks)
    wanted = sum(cross_entropy(p, x) for p in loop(net, x, walkbacks, seeded()))
    torch.testing.assert_close(loss, wanted, rtol=1e-12, atol=1e-12)
    for one, other in zip(gradients(loss, net), gradients(wanted, net), strict=True):
        torch.testing.assert_close(one, other)
        assert one.abs().max() > 1e-6


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_walkbacks_that_would_leave_a_layer_untrained_are_refused(layers):
    net, x = network(hidden=(3,) * layers), images()
    needed = 1 + layers // 2
    assert all(each.abs().max() > 0 for each in gradients(net.loss(x, seeded(), needed), net))
    with pytest.raises(ValueError, match=f"walkbacks is {needed - 1}; it must be at least {needed}"):
        net.loss(x, seeded(), needed - 1)


def test_three_layers_move_odd_before_even():
    net, x = network(hidden=(3, 2, 4), hidden_noise=(0, 0, 0), salt_and_pepper=0, input_sampling=False), images()
    (w1, w2, w3), (b0, b1, b2, b3) = net.weights, net.biases
    h2, v = torch.zeros(5, 2).double(), x
    for means in net.chain(x, 4, seeded()):
        h1 = torch.tanh(v @ w1 + h2 @ w2.T + b1)
        h3 = torch.tanh(h2 @ w3 + b3)
        v = torch.sigmoid(h1 @ w1.T + b0)
        h2 = torch.tanh(h1 @ w2 + h3 @ w3.T + b2)
        torch.testing.assert_close(means, v.detach())


def test_one_matrix_serves_both_directions():
    net = GSN(784, (1500, 1500))
    assert [tuple(p.shape) for p in net.parameters()] == [(784, 1500), (1500, 1500), (784,), (1500,), (1500,)]
    for weight, units in zip(net.weights, (784 + 1500, 3000), strict=True):
        bound = math.sqrt(6 / units)
        assert weight.abs().max() <= bound
        assert weight.detach().std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
        assert weight.detach().abs().mean() == pytest.approx(bound / 2, rel=0.01)
    assert not any(bias.any() for bias in net.biases)
    assert net.hidden_noise == (0.0, 2.0)
    assert not torch.equal(net.weights[0], GSN(784, (1500, 1500), seed=1).weights[0])


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_noise_hits_its_share_of_the_pixels_and_half_of_them_turn_white(share, value):
    n = 400_000
    x = torch.full((n // 4, 4), value)
    found = GSN(4, (3,), salt_and_pepper=share).corrupted(x, seeded())
    for which in {0.0, 1.0, value}:
        p = (1 - share) * (which == value) + (share / 2) * (which in (0.0, 1.0))
        assert abs((found == which).double().mean() - p) <= 5 * math.sqrt(p * (1 - p) / n)
    assert (x == value).all()


# A chain on four binary pixels, whose distribution can be computed.


def transition(net, share):
    """From each of the 16 states to each: all corruptions, then the reconstruction's independent coins."""
    (w,), (b, c) = net.weights, net.biases
    p = torch.sigmoid(torch.sigmoid(V @ w + c) @ w.T + b).detach()
    return corruption(share) @ coins(p)


def corruption(share):
    """From each of the 16 states to each, by salt-and-pepper noise."""
    same = share / 2 + 1 - share  # a pixel hit by its own value stays
    return torch.stack([(same * (x == V) + (1 - same) * (x != V)).prod(1) for x in V]).double()


def coins(p):
    """The probability of each of the 16 states, (n, 16), for means p (n, 4)."""
    return (p[:, None] * V + (1 - p[:, None]) * (1 - V)).prod(2)


def stationary(matrix):
    """The distribution that a transition matrix leaves as it is, by linear algebra."""
    n = len(matrix)
    equations = torch.cat([matrix.T - torch.eye(n).double(), torch.ones(1, n).double()])
    found = torch.linalg.lstsq(equations, torch.eye(n + 1).double()[:, -1:], driver="gelsd").solution[:, 0]
    torch.testing.assert_close(found @ matrix, found)
    return found


def long_run(net, start, steps=150):
    """The state's distribution over long chains: each state's probability, given the means it is drawn from."""
    found = [coins(means).mean(0) for means in net.chain(start, steps, seeded())]
    return torch.stack(found[50:]).mean(0)


def distance(p, q):
    """Total variation."""
    return (p - q).abs().sum().item() / 2


def test_long_chains_have_the_stationary_distribution_of_the_enumerated_transitions():
    tiny = partial(network, scale=4.0, seed=13, activation="sigmoid")
    start = torch.zeros(2000, 4, dtype=torch.float64)
    exact = stationary(transition(tiny(), 0.4))
    assert distance(exact, torch.full((16,), 1 / 16)) > 0.5
    assert distance(long_run(tiny(), start), exact) < 0.004
    # The bound tells: other shares of noise miss it by far, and so does a chain that never draws.
    for settings in ({"salt_and_pepper": 0.35}, {"salt_and_pepper": 0.0}, {"input_sampling": False}):
        assert distance(long_run(tiny(**settings), start), exact) > 0.015, settings


@pytest.mark.parametrize("q", [(0.2, 0.7, 0.5, 0.9), (0.05, 0.5, 0.8, 0.3)])
def test_a_trained_autoencoder_s_chain_has_the_distribution_of_the_data(q):
    """Theorem 1 of Bengio et al. (2013), for independent pixels: their exact reconstruction is independent coins."""
    q = torch.tensor(q, dtype=torch.float64)
    x = (torch.rand(20_000, 4, generator=seeded(), dtype=torch.float64) < q).double()
    net = GSN(4, (6,), activation="sigmoid").double()
    training = Descent(net, x, partial(net.loss, walkbacks=1), lr=8.0, lr_decay=0.8, m=200)
    training.advance(2000)
    share = torch.tensor([(x == state).all(1).double().mean() for state in V]).double()
    exact = stationary(transition(net, 0.4))
    assert distance(exact, share) < 0.03
    start = torch.zeros(1000, 4, dtype=torch.float64)
    assert distance(long_run(net, start), share) < 0.03
    # What training has learned: the posterior mean of a pixel given itself after the noise.
    p = torch.sigmoid(torch.sigmoid(V @ net.weights[0] + net.biases[1]) @ net.weights[0].T + net.biases[0])
    hit = torch.where(V == 1, q * 0.8 / (q * 0.8 + (1 - q) * 0.2), q * 0.2 / (q * 0.2 + (1 - q) * 0.8))
    assert (p - hit).abs().max() < 0.1


def test_exact_reconstructions_of_dependent_pixels_keep_their_distribution_and_independent_coins_do_not():
    """Theorem 1 by enumeration, for any distribution of the data; and what it asks of the reconstruction."""
    p = torch.rand(16, generator=seeded(1), dtype=torch.float64) ** 4
    p /= p.sum()
    noise = corruption(0.4)
    posterior = (p[:, None] * noise / (p @ noise)).T  # (corrupted, clean)
    torch.testing.assert_close(stationary(noise @ posterior), p)
    # A network's means can be exact and still not enough: its pixels are drawn independently.
    assert distance(stationary(noise @ coins(posterior @ V)), p) > 0.05


def test_noise_of_the_enumeration_is_the_network_s():
    net, places, n = GSN(4, (3,)).double(), torch.tensor([8.0, 4.0, 2.0, 1.0]).double(), 40_000
    for i, (state, p) in enumerate(zip(V, corruption(0.4), strict=True)):
        counts = torch.bincount((net.corrupted(state.expand(n, 4), seeded(i)) @ places).long(), minlength=16)
        assert ((counts / n - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()


def test_chains_leave_the_caller_s_graph_and_start_alone_and_refuse_at_the_call():
    net, x = GSN(4, (3, 2)), torch.rand(2, 4)
    before = x.clone()
    chain = net.chain(x, 3, seeded())
    means = next(chain)
    assert torch.is_grad_enabled()
    assert not means.requires_grad
    assert torch.equal(x, before)
    assert len(list(chain)) == 2
    # A chain keeps its hidden layers: two steps are not twice one.
    still = GSN(4, (3, 2), hidden_noise=(0, 0), salt_and_pepper=0, input_sampling=False)
    with torch.no_grad():
        still.weights[1].mul_(5)
        still.biases[2].add_(1)
    one, two = still.chain(x, 2, seeded())
    (again,) = still.chain(one, 1, seeded())
    assert not torch.allclose(two, again, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"hidden": (40, 30)}, {"lr": 2.0, "lr_decay": 0.995, "momentum": 0.5}),
        ({"hidden": (60,), "activation": "sigmoid"}, {"lr": 10.0}),
    ],
)
def test_digits_are_learned_and_a_training_gone_on_with_ends_with_the_same_bits(settings, rates):
    x = data.load("digits", "train").pixels.flatten(1).float() / 255

    def training():
        net = GSN(784, **settings)
        return Descent(net, x, partial(net.loss, walkbacks=2), m=50, **rates)

    whole, first, second = training(), training(), training()
    begin = whole.advance(10)
    whole.advance(110)
    end = whole.advance(10)
    assert end < begin - 0.1
    assert begin < 2 * math.log(2) + 0.3
    first.advance(71)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    second.advance(59)
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in whole.state().items())


def test_the_public_code_s_momentum_at_rate_one_quarter_is_descent_s_at_one_eighth():
    settings = {"hidden": (3, 2)}
    net, plain, x = network(**settings), network(**settings), images(8)
    Descent(net, x, net.loss, lr=0.125, momentum=0.5, m=8, seed=4).advance(5)
    rng = seeded(4)
    averages = [torch.zeros_like(p) for p in plain.parameters()]
    for _ in range(5):
        order = torch.randperm(8, generator=rng)
        found = gradients(plain.loss(x[order], rng), plain)
        averages = [0.5 * average + 0.5 * each for average, each in zip(averages, found, strict=True)]
        with torch.no_grad():
            for parameter, average in zip(plain.parameters(), averages, strict=True):
                parameter -= 0.25 * average
    for one, other in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_loss_is_exact_where_sigmoids_are_0_or_1():
    net = network(scale=1e3)
    loss = net.loss(images(), seeded(), 3)
    assert loss.isfinite()
    assert all(each.isfinite().all() for each in gradients(loss, net))


def test_ignorance_costs_log_2_a_reconstruction():
    net = GSN(4, (3, 2))
    with torch.no_grad():
        for weight in net.weights:
            weight.zero_()
    assert net.loss(torch.rand(7, 4), seeded(), 3).item() == pytest.approx(3 * math.log(2))


X = torch.rand(2, 4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GSN(0), "visible is 0"),
        (lambda: GSN(4, ()), r"hidden is \(\)"),
        (lambda: GSN(4, (3, 0)), "each of hidden is 0"),
        (lambda: GSN(4, 3), "hidden is 3"),
        (lambda: GSN(4, (3,), activation="relu"), "there are tanh, sigmoid"),
        (lambda: GSN(4, (3,), salt_and_pepper=1.2), "salt_and_pepper is 1.2"),
        (lambda: GSN(4, (3,), hidden_noise=(0.0, 2.0)), r"hidden_noise is \(0.0, 2.0\)"),
        (lambda: GSN(4, (3,), hidden_noise=(-1.0,)), "hidden_noise is -1.0"),
        (lambda: GSN(4, (3,), input_sampling=1), "input_sampling is 1"),
        (lambda: GSN(4, (3,), seed=2**64), "seed is"),
        (lambda: GSN(4, (3,)).loss(torch.rand(2, 5), seeded()), r"batch is \(2, 5\)"),
        (lambda: GSN(4, (3,)).loss(X, 0), "rng is 0"),
        (lambda: GSN(4, (3,)).loss(X, seeded(), 0), "walkbacks is 0"),
        (lambda: GSN(4, (3,)).chain(X, 0, seeded()), "steps is 0"),
        (lambda: GSN(4, (3,)).chain(X, 1, None), "rng is None"),
        (lambda: GSN(4, (3,)).chain(X[0], 1, seeded()), r"start is \(4,\)"),
        (lambda: GSN(4, (3,)).chain(X.double(), 1, seeded()), "start is torch.float64"),
        (lambda: GSN(4, (3,)).chain(X + 1, 1, seeded()), "start lies in"),
        (lambda: GSN(4, (3,)).chain(X * math.nan, 1, seeded()), "start holds"),
        (lambda: GSN(4, (3,)).corrupted(X[:, :3], seeded()), r"x is \(2, 3\)"),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises((TypeError, ValueError), match=says):
        make()
