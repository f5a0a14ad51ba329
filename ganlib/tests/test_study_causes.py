"""The study of causes: each training has its one change, held to plain loops and to what must not differ."""

import copy
import json

import pytest
import torch

from ganlib import data, nets
from ganlib.algorithm1 import Game, iteration, simultaneous_iteration
from ganlib.lab import measure, runs, studies
from ganlib.lab.studies import causes
from ganlib.lab.studies.causes import CAUSES, Shuffled, fresh_noise, same_noise
from ganlib.lab.training import Training
from ganlib.losses import discriminator_loss
from ganlib.nets.layers import Dropout
from ganlib.sampling import Latent
from ganlib.toys import ring

CPU = torch.device("cpu")
FEW = {"data": "digits", "width": 16, "units": 8, "iterations": 40, "points": 4, "samples": 60}


def game(d_lr=0.1, g_lr=0.1, dropout=0.5):
    """A small pair in float64 without anything of the paper's, by plain gradient descent; D drops inputs."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        generator = nets.MLP((3, 8, 2)).double()
        critic = torch.nn.Sequential(
            Dropout(dropout), torch.nn.Linear(2, 8), torch.nn.Tanh(), nets.MLP((8, 1))
        ).double()

    class Doubled:
        def __init__(self, source):
            self.source = source

        def minibatch(self, m, rng):
            return self.source.minibatch(m, rng).double()

    optimisers = [torch.optim.SGD(net.parameters(), lr=lr) for net, lr in ((critic, d_lr), (generator, g_lr))]
    return Game(generator, critic, Doubled(ring()), Doubled(Latent(3)), *optimisers, m=5)


class Masks:
    """Dropout's masks from the generator that is the iteration's, as in a run."""

    def __init__(self, monkeypatch, rng):
        def mask(layer, x):
            return torch.rand(x.shape, generator=rng).lt(layer.keep).to(x.dtype) / layer.keep

        monkeypatch.setattr(Dropout, "mask", mask)


def after(iterate, monkeypatch, **settings):
    one, rng = game(**settings), torch.Generator().manual_seed(7)
    Masks(monkeypatch, rng)
    figures = [iterate(one, rng) for _ in range(3)]
    return [p.detach().clone() for net in (one.generator, one.discriminator) for p in net.parameters()], figures


def alike(one, other):
    return all(torch.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in zip(one[0], other[0], strict=True))


def test_with_a_discriminator_at_rest_the_order_makes_no_difference(monkeypatch):
    """Then the same noise is the original's iteration, and fresh noise is Algorithm 1's."""
    assert alike(after(same_noise, monkeypatch, d_lr=0), after(simultaneous_iteration, monkeypatch, d_lr=0))
    assert alike(after(fresh_noise, monkeypatch, d_lr=0), after(iteration, monkeypatch, d_lr=0))
    assert not alike(after(same_noise, monkeypatch, d_lr=0), after(fresh_noise, monkeypatch, d_lr=0))


def test_with_a_learning_discriminator_all_four_differ(monkeypatch):
    found = [after(each, monkeypatch) for each in (same_noise, fresh_noise, simultaneous_iteration, iteration)]
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            assert not alike(one, other)


@pytest.mark.parametrize("alternates", [True, False])
def test_the_orders_against_a_plain_loop(monkeypatch, alternates):
    """Noise and masks are drawn once a step of each, before anything is computed with them."""
    one, rng = game(), torch.Generator().manual_seed(7)
    G, D = copy.deepcopy(one.generator), copy.deepcopy(one.discriminator)
    Masks(monkeypatch, rng)
    (same_noise if alternates else fresh_noise)(one, rng)

    rng = torch.Generator().manual_seed(7)
    z, x = one.latent.minibatch(5, rng), one.data.minibatch(5, rng)
    masks = [torch.rand(5, 2, generator=rng).lt(0.5).double() * 2 for _ in range(2)]  # of data, of samples
    if not alternates:
        z_g = one.latent.minibatch(5, rng)
        mask_g = torch.rand(5, 2, generator=rng).lt(0.5).double() * 2
    else:
        z_g, mask_g = z, masks[1]
    score = lambda net, images, mask: net[1:](images * mask).flatten()  # noqa: E731
    d_loss = discriminator_loss(score(D, x, masks[0]), score(D, G(z).detach(), masks[1]))
    d_grads = torch.autograd.grad(d_loss, list(D.parameters()))
    old = copy.deepcopy(D)
    with torch.no_grad():
        for p, g in zip(D.parameters(), d_grads, strict=True):
            p.sub_(0.1 * g)
    judged = score(D if alternates else old, G(z_g), mask_g)
    g_loss = torch.nn.functional.softplus(-judged).mean()  # -log D
    g_grads = torch.autograd.grad(g_loss, list(G.parameters()))
    for net, mine in (
        (one.discriminator, D.parameters()),
        (one.generator, [(p, g) for p, g in zip(G.parameters(), g_grads, strict=True)]),
    ):
        for theirs, each in zip(net.parameters(), mine, strict=True):
            expected = each if isinstance(each, torch.Tensor) else each[0] - 0.1 * each[1]
            torch.testing.assert_close(theirs, expected)


def test_an_epoch_shuffled_shows_every_image_once():
    images = data.load("digits", "train").flattened().first(23)
    source, rng = Shuffled(images), torch.Generator().manual_seed(1)
    epochs = [torch.cat([source.minibatch(5, rng) for _ in range(4)]) for _ in range(2)]
    for epoch in epochs:
        assert len({row.numpy().tobytes() for row in epoch}) == 20
    assert not torch.equal(*epochs)
    assert torch.isin(epochs[0].sum(1), images.floats().sum(1)).all()


@pytest.fixture(scope="module")
def settings():
    return studies.settings("causes", FEW)


def test_every_cause_has_its_curve_and_figures(settings, tmp_path):
    said = []
    found = causes.study(settings, CPU, tmp_path, said.append).figures
    json.dumps(found, allow_nan=False)
    assert len(said) == len(CAUSES) == len(found["by_cause"])
    for name, each in found["by_cause"].items():
        (one,) = each["by_seed"]
        assert [row[0] for row in one["curve"]] == [10, 20, 30, 40]
        training = causes.begin(settings, name, 0, "cpu")
        training.advance(40)
        again = measure.measure(training.run, training.networks()[0], measure.held_out(training.run), samples=60)
        assert one["figures"]["log_likelihood"]["value"] == pytest.approx(
            again["figures"]["log_likelihood"]["value"], abs=2e-3
        )


def test_each_differs_from_its_run_by_what_it_is_called_after(settings):
    for name, cause in CAUSES.items():
        run, named = settings.changed(name), runs.get(cause.run)
        changed = {each for each, value in runs.as_dict(run).items() if value != runs.as_dict(named)[each]}
        assert changed - {"data", "width", "units", "iterations", "every"} == set(cause.sets)
        assert len(cause.sets) + (cause.iterate is not None) + (cause.source is not None) == 1
        training, plain = causes.begin(settings, name, 0, "cpu"), Training(run, seeds=[0], device="cpu")
        training.advance(3)
        plain.advance(3)
        same = all(torch.equal(t, plain.state()[n]) for n, t in training.state().items())
        assert same == (cause.iterate is None and cause.source is None)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"points": 7}, "points that divide it"),
        ({"seeds": 0}, "seeds is 0"),
        ({"samples": 3}, "samples is 3"),
        ({"data": "cifar10"}, "data is 'cifar10'"),
        ({"width": 0}, "width is 0"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("causes", {**FEW, **overrides})
