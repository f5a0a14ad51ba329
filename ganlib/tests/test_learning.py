"""Minibatch training that can be stopped: epochs, the momentum rule by hand, resuming to the bit, what is refused."""

import math

import pytest
import torch
from torch import nn

from ganlib.errors import Diverged
from ganlib.lab.models.learning import Descent, Learning

IMAGES = torch.rand(11, 3, generator=torch.Generator().manual_seed(5))


class Seen(Learning):
    """Trains nothing, and keeps what it was shown."""

    def update(self, batch):
        self.shown = [*getattr(self, "shown", []), batch]
        return batch.mean()


def descent(seed=0, **settings):
    model = nn.Linear(3, 1)
    nn.init.constant_(model.weight, 0.5)
    nn.init.zeros_(model.bias)

    def loss(batch, rng):
        return (model(batch) - torch.rand(len(batch), 1, generator=rng)).square().mean()

    return Descent(model, IMAGES, loss, m=2, seed=seed, **({"lr": 0.1} | settings))


def test_an_epoch_shows_every_image_once_and_the_next_in_another_order():
    training = Seen(nn.Linear(1, 1), IMAGES, m=2, seed=3)
    assert training.epoch_length == 5
    mean = training.advance(10)
    shown = torch.cat(training.shown)
    assert mean == pytest.approx(shown.mean().item())
    for epoch in shown[:10], shown[10:]:
        assert len({tuple(row.tolist()) for row in epoch}) == 10  # ten different images of the eleven
    assert not torch.equal(shown[:10], shown[10:])


def test_momentum_and_rate_by_hand():
    """f(w) = w^2 / 2 for one number: velocities by the written-out rule."""
    model = nn.ParameterList([nn.Parameter(torch.tensor([1.0], dtype=torch.float64))])
    data = torch.zeros(4, 1, dtype=torch.float64)
    training = Descent(
        model, data, lambda batch, rng: model[0].square().sum() / 2, m=2, lr=0.2, lr_decay=0.5, momentum=0.6
    )
    training.advance(5)  # two updates an epoch
    w, velocity = 1.0, 0.0
    for rate in (0.2, 0.2, 0.1, 0.1, 0.05):
        velocity = 0.6 * velocity - rate * w
        w += velocity
    assert model[0].item() == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize("stop", [1, 5, 7])
def test_stopped_and_gone_on_with_it_ends_with_the_same_bits(stop):
    whole, first, second = (descent(momentum=0.5, lr_decay=0.9) for _ in range(3))
    whole.advance(12)
    first.advance(stop)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    assert second.done == stop
    second.advance(12 - stop)
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in whole.state().items())
    other = descent(seed=1)
    other.advance(12)
    assert not torch.equal(other.model.weight, whole.model.weight)


def test_another_trainings_state_is_refused_and_changes_nothing():
    training = descent()
    training.advance(3)
    before = {name: tensor.clone() for name, tensor in training.state().items()}
    state = {name: tensor.clone() for name, tensor in before.items()}
    for wrong in (
        {name: tensor for name, tensor in state.items() if name != "own.bias"},
        state | {"model.weight": torch.zeros(1, 4)},
        state | {"more": torch.zeros(1)},
    ):
        with pytest.raises(ValueError, match="another training's"):
            training.load(wrong)
    assert all(torch.equal(tensor, before[name]) for name, tensor in training.state().items())


def test_divergence_is_said_with_the_update_and_the_remedy():
    with pytest.raises(Diverged, match=r"Linear.*by update 400; lower the learning rate"):
        descent(lr=1e3).advance(400)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"m": 12}, r"\(11, 3\); give \(n, visible\) with n >= m = 12"),
        ({"m": 0}, "m is 0"),
        ({"seed": -(2**80)}, "seed"),
        ({"data": IMAGES * 2}, r"give images in \[0, 1\]"),
        ({"data": IMAGES.flatten()}, "data is"),
        ({"data": IMAGES * math.nan}, "not finite"),
    ],
)
def test_impossible_settings_are_refused(change, says):
    settings = {"data": IMAGES, "m": 2} | change
    with pytest.raises((TypeError, ValueError), match=says):
        Seen(nn.Linear(1, 1), settings.pop("data"), **settings)
    for name, value in (("lr", 0.0), ("lr_decay", 1.5), ("momentum", 1.0)):
        with pytest.raises(ValueError, match=name):
            descent(**{name: value})
