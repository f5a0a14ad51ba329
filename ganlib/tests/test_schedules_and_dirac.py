"""Schedules against their formulas; the Dirac-GAN against the published behaviour."""

import math
import sys
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ganlib import limits
from ganlib.dirac import slope, trajectory
from ganlib.lab import optimisers, runs
from ganlib.lab.speed import graphs
from ganlib.nets.paper import paper_schedule


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


def parameter():
    return torch.zeros(1, requires_grad=True)


@given(
    decay=st.floats(1, sys.float_info.max),
    lr=st.floats(1e-300, 1e300),
    share=st.floats(1e-6, 1),
    done=st.integers(0, limits.STEPS),
    ramp=st.integers(1, limits.STEPS),
    epoch=st.integers(1, limits.STEPS),
)
@example(decay=1.01, lr=0.1, share=1e-5, done=71_333, ramp=250, epoch=500)  # 1.01**71333 is beyond every float
@example(decay=sys.float_info.max, lr=1e300, share=1.0, done=limits.STEPS, ramp=1, epoch=1)
def test_a_schedule_of_any_length_ends_at_its_floor(decay, lr, share, done, ramp, epoch):
    """Against decimal arithmetic, which has no largest number."""
    optimiser = torch.optim.SGD([parameter()], lr=1.0)
    floor = max(lr * share, 5e-324)
    paper_schedule(optimiser, lr=lr, floor=floor, decay=decay, ramp_epochs=ramp, iterations_per_epoch=epoch)(done)
    with localcontext(Context(prec=40, Emax=MAX_EMAX, Emin=MIN_EMIN)):
        wanted = max(Decimal(lr) / Decimal(decay) ** done, Decimal(floor))
        speed = Decimal("0.5") + Decimal("0.2") * min(Decimal(done // epoch) / max(ramp - 1, 1), 1)
    # A power's rounding grows with its exponent.
    assert optimiser.param_groups[0]["lr"] == pytest.approx(float(wanted), rel=1e-9)
    assert optimiser.param_groups[0]["momentum"] == pytest.approx(float(speed))


def test_a_run_of_any_length_has_its_rates_at_the_last_iteration():
    settings = {"lr_decay": 1.01, "iterations": 10**9, "momentum_epochs": 10**9, "lr_floor": 1e-7, "g_lr": 0.02}
    players = [torch.optim.SGD([parameter()], lr=1.0) for _ in range(2)]
    schedule = optimisers.schedule(runs.get("mnist-paper", settings), *players)
    for done in (71_332, 71_333, 10**9 - 1):
        schedule(done)
        assert [player.param_groups[0]["lr"] for player in players] == [1e-7, 1e-7]


@pytest.mark.parametrize(("first", "last"), [(0.0, 0.9), (1e-320, 0.9), (1e-320, 0.0), (0.5, 0.9)])
def test_the_ratios_a_graph_scales_momentum_by_are_finite(first, last):
    """A graph's kernel keeps the momentum it was built with; what is planned is the ratio of today's to it."""
    settings = {"momentum": first, "momentum_final": last, "momentum_epochs": 3, "epoch": 1}
    run, net = runs.get("mnist-paper", settings), torch.nn.Linear(2, 1)
    players = tuple(optimisers.build(run, net, 0.1) for _ in range(2))
    built = [player.param_groups[0]["momentum"] for player in players]
    schedule = optimisers.schedule(run, *players)
    moving = graphs.Moving(players, schedule, 4, torch.device("cpu"))
    moving.plan(0, 4)
    assert moving.table.isfinite().all()
    wanted = torch.tensor([first, (first + last) / 2, last, last]).double()
    assert torch.allclose(moving.table[:, 1].double() * built[0], wanted, atol=1e-29)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lr": 0}, "lr is 0"),
        ({"lr": math.inf}, "lr is inf"),
        ({"floor": math.inf}, "floor is inf"),
        ({"floor": math.nan}, "floor is nan"),
        ({"decay": 0.5}, "decay is 0.5"),
        ({"decay": math.inf}, "decay is inf"),
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
