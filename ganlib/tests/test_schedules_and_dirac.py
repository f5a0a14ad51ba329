"""Schedules against their formulas; the Dirac-GAN against the published behaviour."""

import numpy as np
import pytest
import torch

from ganlib.dirac import slope, trajectory
from ganlib.schedules import paper_schedule


def test_paper_schedule_is_the_published_one():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    apply, group = paper_schedule(optimiser), optimiser.param_groups[0]
    apply(0)
    assert (group["lr"], group["momentum"]) == (0.1, 0.5)
    apply(500 * 124 + 250)  # in the 125th epoch
    assert group["momentum"] == pytest.approx(0.5 + 0.2 * 124 / 249)
    assert group["lr"] == pytest.approx(0.1 / 1.000004 ** (500 * 124 + 250))
    apply(500 * 249)  # epoch 250: the ramp ends
    assert group["momentum"] == pytest.approx(0.7)
    apply(10**8)
    assert (group["lr"], group["momentum"]) == (1e-6, 0.7)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lr": 0}, "lr is 0"),
        ({"decay": 0.5}, "decay is 0.5"),
        ({"momentum": (0.5, 1.0)}, "1.0"),
        ({"ramp_epochs": 0}, "0"),
    ],
)
def test_impossible_schedules_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        paper_schedule(**settings)


def radius(**settings):
    return np.hypot(*trajectory(2000, **settings).T)


def test_simultaneous_updates_leave_and_alternating_ones_circle():
    assert radius()[-1] == pytest.approx(3.10, abs=0.005)
    alternating = radius(alternating=True)
    assert alternating.min() == pytest.approx(1.410, abs=5e-4)
    assert alternating.max() == pytest.approx(1.451, abs=5e-4)


@pytest.mark.parametrize("alternating", [False, True])
def test_r1_brings_both_in(alternating):
    assert radius(gamma=0.3, alternating=alternating)[-1] < 1e-10


def test_dirac_gan_is_gradient_descent_on_its_value_function():
    """The two updates are autograd's gradients of V = f(psi theta) + f(0)."""
    theta, psi = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, -1.3))
    torch.nn.functional.logsigmoid(theta * psi).backward()
    first = trajectory(1, lr=0.2, start=(0.7, -1.3))[1]
    assert first[0] == pytest.approx(0.7 - 0.2 * theta.grad.item())
    assert first[1] == pytest.approx(-1.3 + 0.2 * psi.grad.item())


def test_slope_is_finite_everywhere():
    assert [slope(t) for t in (-1e4, 0.0, 1e4)] == [1.0, 0.5, 0.0]


@pytest.mark.parametrize("settings", [{"steps": 0}, {"lr": 0}, {"gamma": -1}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        trajectory(**settings)
