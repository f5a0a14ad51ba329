"""Algorithm 1 is held to a plain loop written from the paper, and to what its docstring promises."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils._python_dispatch import TorchDispatchMode

from ganlib import data, toys
from ganlib.algorithm1 import Game, algorithm1, iteration, simultaneous_iteration
from ganlib.lab.speed.game import FastGame
from ganlib.nets import MLP, DCGANGenerator, MaxoutDiscriminator
from ganlib.sampling import Latent


class Counting:
    """A source that remembers what it handed out."""

    def __init__(self, source):
        self.source, self.drawn = source, []

    def minibatch(self, m, rng):
        self.drawn.append(self.source.minibatch(m, rng))
        return self.drawn[-1]


def pair(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    discriminator = nn.Sequential(MLP((1, 8, 8), "tanh"), nn.Dropout(dropout), MLP((8, 1)))
    return MLP((2, 8, 1), "tanh", squeeze=False), discriminator


def optimisers(generator, discriminator, lr=0.05):
    return {
        "d_optimiser": torch.optim.SGD(discriminator.parameters(), lr),
        "g_optimiser": torch.optim.SGD(generator.parameters(), lr),
    }


def weights(*nets):
    return torch.cat([p.detach().flatten() for net in nets for p in net.parameters()])


DATA, LATENT = toys.gaussian(4.0, 0.5), Latent(2)


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("k", [1, 3])
def test_agrees_with_a_plain_loop_written_from_the_paper(loss, reduction, k):
    generator, discriminator = pair()
    g2, d2 = copy.deepcopy((generator, discriminator))
    data, latent, steps, m, lr = Counting(DATA), Counting(LATENT), 7, 16, 0.05
    list(algorithm1(
        generator, discriminator, data, latent, **optimisers(generator, discriminator, lr),
        iterations=steps, k=k, m=m, loss=loss, reduction=reduction,
    ))  # fmt: skip

    noise, real = iter(latent.drawn), iter(data.drawn)
    factor = 1.0 if reduction == "sum" else 0.5
    for _ in range(steps):
        for _ in range(k):
            on_real, on_fake = d2(next(real)), d2(g2(next(noise)))
            d_loss = factor * (
                binary_cross_entropy_with_logits(on_real, torch.ones(m))
                + binary_cross_entropy_with_logits(on_fake, torch.zeros(m))
            )
            gradients = torch.autograd.grad(d_loss, list(d2.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(d2.parameters(), gradients, strict=True):
                    parameter -= lr * gradient
        d_of_fake = d2(g2(next(noise))).sigmoid()
        g_loss = torch.log(1 - d_of_fake).mean() if loss == "minimax" else -torch.log(d_of_fake).mean()
        gradients = torch.autograd.grad(g_loss, list(g2.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(g2.parameters(), gradients, strict=True):
                parameter -= lr * gradient
    torch.testing.assert_close(weights(generator, discriminator), weights(g2, d2), atol=1e-6, rtol=1e-5)
    assert next(noise, None) is None
    assert next(real, None) is None


class Column(nn.Module):
    """A net whose output, one number a sample, has the shape (m, 1)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)[:, None]


def test_a_step_of_rate_one_on_a_hundred_samples_is_the_gradient_of_the_mean():
    """And not a hundred times that, which is what logits of shape (m, 1) gave, with the same reported loss."""
    torch.manual_seed(0)
    generator, discriminator = MLP((2, 8, 1), squeeze=False), MLP((1, 8, 1))
    d2 = copy.deepcopy(discriminator)
    data, latent = Counting(DATA), Counting(LATENT)
    with torch.no_grad():
        fake = generator(next(iter_of(LATENT, 100)))
    (report,) = algorithm1(generator, discriminator, data, latent, **optimisers(generator, discriminator, lr=1.0),
                           iterations=1, m=100)  # fmt: skip
    on_real, on_fake = d2(data.drawn[0]), d2(fake)
    v = sum(math.log(1 / (1 + math.exp(-t))) for t in on_real.tolist()) / 100
    v += sum(math.log(1 - 1 / (1 + math.exp(-t))) for t in on_fake.tolist()) / 100
    assert report.d_loss == pytest.approx(-v, rel=1e-5)
    objective = (on_real.sigmoid().log().sum() + (1 - on_fake.sigmoid()).log().sum()) / 100
    up = torch.cat([g.flatten() for g in torch.autograd.grad(objective, list(d2.parameters()))])
    torch.testing.assert_close(weights(discriminator) - weights(d2), up, atol=1e-5, rtol=1e-4)

    with pytest.raises(ValueError, match=r"shape \(100, 1\) for 100 samples"):
        list(algorithm1(generator, column := Column(d2), DATA, LATENT, **optimisers(generator, column), iterations=1))


def iter_of(source, m):
    """The minibatches that a run of seed 0 draws first from a source."""
    rng = torch.Generator().manual_seed(0)
    while True:
        yield source.minibatch(m, rng)


def test_draws_k_fresh_minibatches_for_d_and_one_of_noise_for_g():
    generator, discriminator = pair()
    data, latent = Counting(DATA), Counting(LATENT)
    list(algorithm1(generator, discriminator, data, latent, **optimisers(generator, discriminator),
                    iterations=5, k=3, m=4))  # fmt: skip
    assert len(data.drawn) == 5 * 3
    assert len(latent.drawn) == 5 * (3 + 1)
    assert all(batch.shape == (4, 1) for batch in data.drawn)
    assert len({tuple(batch.flatten().tolist()) for batch in latent.drawn}) == len(latent.drawn)


def train(seed=0, between=lambda: None, dropout=0.5, **settings):
    generator, discriminator = pair(dropout=dropout)
    settings = {"iterations": 20, "every": 5, "m": 8, **settings}
    reports = []
    for report in algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator),
                             seed=seed, **settings):  # fmt: skip
        reports.append(report)
        between()
    return weights(generator, discriminator), reports


def test_a_seed_fixes_everything_and_the_callers_randomness_changes_nothing():
    first, reports = train(seed=1)
    again, reports_again = train(seed=1, between=lambda: torch.manual_seed(99) and torch.rand(7))
    assert torch.equal(first, again)
    assert reports == reports_again
    assert not torch.equal(first, train(seed=2)[0])


def test_training_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    generator, discriminator = pair(dropout=0.5)
    torch.manual_seed(5)
    list(algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator), iterations=3))
    assert torch.equal(torch.rand(3), expected)


def test_how_often_it_reports_changes_only_the_reports():
    often, reports = train(every=1)
    seldom, one = train(every=20)
    assert torch.equal(often, seldom)
    assert [r.iteration for r in reports] == list(range(1, 21))
    assert [r.iteration for r in one] == [20]
    assert one[0].d_loss == pytest.approx(sum(r.d_loss for r in reports) / 20, rel=1e-5)
    assert [r.iteration for r in train(iterations=12, every=5)[1]] == [5, 10, 12]


def test_trains_only_as_far_as_it_is_asked():
    generator, discriminator = pair()
    latent = Counting(LATENT)
    run = algorithm1(generator, discriminator, DATA, latent, **optimisers(generator, discriminator),
                     iterations=10**9, every=4)  # fmt: skip
    assert latent.drawn == []
    next(run)
    assert len(latent.drawn) == 4 * 2


def test_reports_are_what_they_say():
    """With learning rate 0 nothing moves, so the means can be computed from the minibatches."""
    generator, discriminator = pair()
    data, latent = Counting(DATA), Counting(LATENT)
    (report,) = algorithm1(generator, discriminator, data, latent, **optimisers(generator, discriminator, lr=0.0),
                           iterations=6, every=6, m=32)  # fmt: skip
    with torch.no_grad():
        d_real = torch.stack([discriminator(x).sigmoid() for x in data.drawn])
        d_fake = torch.stack([discriminator(generator(z)).sigmoid() for z in latent.drawn[::2]])
        d_for_g = torch.stack([discriminator(generator(z)).sigmoid() for z in latent.drawn[1::2]])
    assert report.d_real == pytest.approx(d_real.mean().item(), abs=1e-6)
    assert report.d_fake == pytest.approx(d_fake.mean().item(), abs=1e-6)
    assert report.d_loss == pytest.approx(-(d_real.log() + (1 - d_fake).log()).mean().item(), abs=1e-5)
    assert report.g_loss == pytest.approx(-d_for_g.log().mean().item(), abs=1e-5)


def test_the_discriminators_weights_need_gradients_again_afterwards():
    generator, discriminator = pair()
    discriminator[0].layers[0].bias.requires_grad_(False)  # one the user froze stays frozen
    list(algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator), iterations=2))
    assert [p.requires_grad for p in discriminator.parameters()] == [True, False, True, True, True, True]


def test_schedule_sees_the_iterations_done():
    seen = []
    train(iterations=4, schedule=seen.append)
    assert seen == [0, 1, 2, 3]


def test_learns_a_gaussian():
    torch.manual_seed(0)
    generator, discriminator = MLP((2, 32, 1), squeeze=False), MLP((1, 32, 32, 1))
    adam = {
        "d_optimiser": torch.optim.Adam(discriminator.parameters(), 2e-3, betas=(0.5, 0.999)),
        "g_optimiser": torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.5, 0.999)),
    }
    *_, last = algorithm1(generator, discriminator, DATA, Latent(2, "normal"), **adam, iterations=1000, m=128)
    with torch.no_grad():
        samples = generator(torch.randn(4000, 2))
    assert samples.mean().item() == pytest.approx(4.0, abs=0.25)
    assert samples.std().item() == pytest.approx(0.5, abs=0.25)
    assert last.d_loss == pytest.approx(math.log(4), abs=0.15)


def test_nothing_is_shown_unless_asked_for(capfd):
    generator, discriminator = pair()
    list(algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator), iterations=2))
    assert capfd.readouterr() == ("", "")


def test_the_progress_bar_is_closed_when_the_reader_stops_early(monkeypatch):
    import ganlib.algorithm1 as module

    bars, real_bar = [], module.tqdm
    monkeypatch.setattr(module, "tqdm", lambda **settings: bars.append(real_bar(**settings)) or bars[-1])
    generator, discriminator = pair()
    run = algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator),
                     iterations=100, every=5, progress=True)  # fmt: skip
    next(run)
    assert (bars[0].n, bars[0].disable) == (5, False)
    run.close()
    assert bars[0].disable  # tqdm's mark of a closed bar


def test_divergence_stops_at_the_next_report_and_says_where():
    generator, discriminator = pair()
    with pytest.raises(FloatingPointError, match="between iterations 1 and 5"):
        list(algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator, lr=math.inf),
                        iterations=10, every=5))  # fmt: skip


def test_a_divergence_tells_the_two_losses_apart():
    class OnlyForG(MLP):
        def forward(self, x):
            return super().forward(x) * (math.nan if x.requires_grad else 1.0)

    generator, discriminator = MLP((2, 4, 1), squeeze=False), OnlyForG((1, 4, 1))
    with pytest.raises(FloatingPointError, match=r"\(D's [0-9.]+, G's nan\)"):
        list(algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator), iterations=1))


@pytest.mark.parametrize("step", [iteration, simultaneous_iteration])
def test_d_sees_data_and_samples_apart_and_learns_in_its_own_step_alone(step):
    seen = []

    class Watched(MLP):
        def forward(self, x):
            seen.append((len(x), all(p.requires_grad for p in self.parameters())))
            return super().forward(x)

    discriminator, generator = Watched((1, 4, 1)), MLP((2, 4, 1), squeeze=False)
    game = Game(generator, discriminator, DATA, LATENT, *(
        torch.optim.SGD(net.parameters(), 0.1) for net in (discriminator, generator)), m=6)  # fmt: skip
    step(game, torch.Generator().manual_seed(0))
    assert seen == [(6, True), (6, True)] + ([(6, False)] if step is iteration else [])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"iterations": 0}, "iterations is 0"),
        ({"k": 0}, "k is 0"),
        ({"m": -1}, "m is -1"),
        ({"every": 0}, "every is 0"),
        ({"loss": "wasserstein"}, "'wasserstein'"),
    ],
)
def test_bad_settings_are_refused_before_any_work(settings, says):
    generator, discriminator = pair()
    with pytest.raises(ValueError, match=says):
        algorithm1(generator, discriminator, DATA, LATENT, **optimisers(generator, discriminator),
                   **{"iterations": 1, **settings})  # fmt: skip


@pytest.mark.parametrize("step", [iteration, simultaneous_iteration])
@pytest.mark.parametrize("kind", [Game, FastGame])
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (lambda t: t[:, None], r"\(8, 1\)|\(16, 1\)"),
        (lambda t: t[:, None].expand(-1, 3), r"\(8, 3\)|\(16, 3\)"),
        (lambda t: t.mean(), r"shape \(\)"),
        (lambda t: t.repeat(2), r"\(16,\)|\(32,\)"),
        (lambda t: (t, t), "shape tuple"),
    ],
)
def test_an_iteration_refuses_logits_that_are_not_one_a_sample_before_any_step(step, kind, shape, says):
    class Shaped(MLP):
        def forward(self, x):
            return shape(super().forward(x))

    torch.manual_seed(0)
    generator, discriminator = MLP((2, 8, 1), squeeze=False), Shaped((1, 8, 1))
    adam = [torch.optim.Adam(net.parameters()) for net in (discriminator, generator)]
    game = kind(generator, discriminator, DATA, LATENT, *adam, m=8)
    before = weights(generator, discriminator)
    with pytest.raises(ValueError, match=says):
        step(game, torch.Generator())
    assert torch.equal(weights(generator, discriminator), before)
    assert all(not optimiser.state for optimiser in adam)


@pytest.mark.parametrize("step", [iteration, simultaneous_iteration])
def test_an_iteration_refuses_a_generator_of_another_shape(step):
    generator, discriminator = MLP((2, 8, 1)), MLP((1, 8, 1))  # G gives (m,), and D is asked for (m, 1)
    sgd = [torch.optim.SGD(net.parameters(), 1.0) for net in (discriminator, generator)]
    game = Game(generator, discriminator, DATA, LATENT, *sgd, m=8)
    before = weights(generator, discriminator)
    with pytest.raises(ValueError, match=r"G's output has shape \(8,\), the data \(8, 1\)"):
        step(game, torch.Generator())
    assert torch.equal(weights(generator, discriminator), before)


@pytest.mark.cuda
def test_runs_on_cuda():
    torch.manual_seed(0)
    generator, discriminator = (net.cuda() for net in pair(dropout=0.5))
    reports = list(algorithm1(generator, discriminator, DATA.to("cuda"), LATENT,
                              **optimisers(generator, discriminator), iterations=10, every=5))  # fmt: skip
    assert all(math.isfinite(r.d_loss) for r in reports)


class Waits(TorchDispatchMode):
    """Collects the operators by which the host reads a value of a tensor, and so waits for the device."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "is_nonzero", "equal", "nonzero"):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("step", [iteration, simultaneous_iteration])
@pytest.mark.parametrize("source", ["mixture", "images"])
def test_no_check_waits_for_the_device_within_an_iteration(step, source):
    generator, discriminator = DCGANGenerator(8, 1, 2, 2), MaxoutDiscriminator(64, 2, 2)
    images = data.load().resized(8).scaled(-1, 1)
    if source == "mixture":
        generator, discriminator, images = MLP((2, 4, 2), squeeze=False), MLP((2, 4, 1)), toys.ring()
    optimisers = [torch.optim.SGD(net.parameters(), 0.1) for net in (discriminator, generator)]
    game = Game(generator, discriminator, images, Latent(2), *optimisers, m=8)
    with Waits() as waits:
        torch.ones(1).item()
        assert waits.found  # an operator that waits is seen
        waits.found.clear()
        step(game, torch.Generator())
    assert waits.found == []
