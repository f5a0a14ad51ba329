"""Oracles: torch's binary cross-entropy, the paper's formulas in float64, and values computed elsewhere."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlib import losses

REAL, FAKE = torch.tensor([-5, 1.4, 12.5, 2.7]), torch.tensor([10, 4.4, -5.5, 3.6])
REAL2, FAKE2 = torch.tensor([1.3, 2.9, 8.4, 6.3]), torch.tensor([4.8, 1.2, -3.5, 5.9])
logits = st.lists(st.floats(-30, 30), min_size=1, max_size=20).map(lambda v: torch.tensor(v, dtype=torch.float64))


def test_a_slow_machine_fails_no_example():
    """Not this file alone either, whose first example waits for torch."""
    assert settings().deadline is None


def test_values_computed_elsewhere():
    assert losses.discriminator_loss(REAL, FAKE).item() == pytest.approx(5.83387, abs=1e-5)
    assert losses.non_saturating(FAKE).item() == pytest.approx(1.38582, abs=1e-5)
    assert losses.minimax(FAKE).item() == pytest.approx(-4.51082, abs=1e-5)
    assert losses.discriminator_loss(REAL2, FAKE2).item() == pytest.approx(3.1251488, abs=1e-6)
    assert losses.non_saturating(FAKE2).item() == pytest.approx(0.9509911, abs=1e-6)


@given(logits, logits)
def test_discriminator_loss_is_binary_cross_entropy_and_minus_v(real, fake):
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    bce = binary_cross_entropy_with_logits(real, ones) + binary_cross_entropy_with_logits(fake, zeros)
    v = real.sigmoid().log().mean() + (-fake).sigmoid().log().mean()
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(bce.item(), rel=1e-9)
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(-v.item(), rel=1e-9)
    assert losses.discriminator_loss(real, fake, "mean").item() == pytest.approx(bce.item() / 2, rel=1e-9)


@given(logits)
def test_generator_losses_are_the_papers(fake):
    d = fake.sigmoid()
    assert losses.non_saturating(fake).item() == pytest.approx(-d.log().mean().item(), rel=1e-9)
    assert losses.minimax(fake).item() == pytest.approx((-fake).sigmoid().log().mean().item(), rel=1e-9)


@given(logits)
def test_generator_gradients_in_the_logit_are_minus_d_and_d_minus_1(fake):
    for loss, expected in ((losses.minimax, -fake.sigmoid()), (losses.non_saturating, fake.sigmoid() - 1)):
        leaf = fake.clone().requires_grad_()
        loss(leaf).backward()
        torch.testing.assert_close(leaf.grad * len(fake), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("logit", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_extreme_logits_give_finite_values_and_gradients(logit, dtype):
    for loss in (losses.minimax, losses.non_saturating, lambda t: losses.discriminator_loss(t, t)):
        leaf = torch.full((3,), logit, dtype=dtype, requires_grad=True)
        value = loss(leaf)
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(leaf.grad).all()
    confident = torch.tensor([-1e4], requires_grad=True)
    losses.non_saturating(confident).backward()
    assert confident.grad.item() == -1  # the gradient log(sigmoid(x) + 1e-8) loses


def test_equilibrium_value_depends_on_the_reduction():
    zero = torch.zeros(10)
    assert losses.discriminator_loss(zero, zero, "sum").item() == pytest.approx(math.log(4))
    assert losses.discriminator_loss(zero, zero, "mean").item() == pytest.approx(math.log(2))


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"'hinge'.*minimax, non-saturating"):
        losses.generator_loss("hinge")
    with pytest.raises(ValueError, match="'none'"):
        losses.discriminator_loss(REAL, FAKE, "none")


@pytest.mark.parametrize("shape", [(), (0,), (4, 1), (4, 3), (2, 4, 1)])
@pytest.mark.parametrize("loss", [losses.minimax, losses.non_saturating])
def test_logits_that_are_not_one_a_sample_are_refused_with_their_shape(loss, shape):
    wrong, right = torch.zeros(shape), torch.zeros(4)
    says = rf"shape {re.escape(str(shape))}; a loss takes one a sample"
    with pytest.raises(ValueError, match=says):
        loss(wrong)
    for pair in ((wrong, right), (right, wrong)):
        with pytest.raises(ValueError, match=says):
            losses.discriminator_loss(*pair)
    assert loss(right).shape == losses.discriminator_loss(right, right).shape == ()


def test_nets_side_by_side_have_a_loss_each_under_vmap():
    real, fake = torch.stack([REAL, REAL2]), torch.stack([FAKE, FAKE2])
    together = torch.vmap(losses.discriminator_loss)(real, fake)
    assert together.tolist() == [losses.discriminator_loss(*each).item() for each in zip(real, fake, strict=True)]
    for loss in (losses.minimax, losses.non_saturating):
        assert torch.vmap(loss)(fake).tolist() == [loss(each).item() for each in fake]
