"""oneDNN's products against torch's own, forward and backward, for one net and for many; used only where asked."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ganlib.algorithm1 import iteration
from ganlib.lab import runs
from ganlib.lab.speed import onednn
from ganlib.lab.speed.ensembles import Ensemble
from ganlib.lab.training import Training


@pytest.fixture
def counted(monkeypatch):
    """The products handed to oneDNN, on any processor that has it, however small they are."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    shapes, product = [], onednn._onednn
    monkeypatch.setattr(onednn, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(onednn, "WORTH_A_CALL", 1)
    monkeypatch.setattr(onednn, "_onednn", lambda x, w, b: shapes.append((*x.shape, len(w))) or product(x, w, b))
    return shapes


def values(net, x):
    """A net's output on x, and the gradients of its sum of squares."""
    x = x.clone().requires_grad_()
    y = net(x)
    return [y, *torch.autograd.grad(y.square().sum(), [x, *net.parameters()])]


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_and_its_gradients_are_torch_s(counted, bias):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(7, 5, bias), nn.Tanh(), nn.Linear(5, 3, bias)), torch.randn(6, 7)
    expected = values(net, x)
    assert counted == []
    with onednn.products():
        found = values(net, x)
    assert sorted(counted) == sorted([(6, 7, 5), (6, 5, 3), (6, 3, 5), (3, 6, 5), (6, 5, 7), (5, 6, 7)])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    with onednn.products(), torch.no_grad():
        torch.testing.assert_close(net(x), expected[0], rtol=1e-5, atol=1e-5)


def test_many_nets_at_once_are_each_one_s_products(counted):
    torch.manual_seed(0)
    nets, x = [nn.Linear(4, 3) for _ in range(2)], torch.randn(2, 5, 4)
    many = Ensemble(nets)
    expected = values(many, x)
    with onednn.products():
        found = values(many, x)
    assert counted.count((5, 4, 3)) == 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("what", ["double", "vector", "small", "plain", "autocast"])
def test_what_is_not_meant_stays_torch_s(counted, what, monkeypatch):
    x, w = torch.randn(6, 7), torch.randn(5, 7)
    if what == "small":
        monkeypatch.setattr(onednn, "WORTH_A_CALL", 6 * 35 + 1)
    if what == "double":
        x, w = x.double(), w.double()
    if what == "vector":
        x = x[0]
    expected = functional.linear(x, w)
    with torch.autocast("cpu", torch.bfloat16, enabled=what == "autocast"):
        if what == "plain":
            with onednn.plain(), onednn.products():
                found = functional.linear(x, w)
        else:
            with onednn.products():
                found = functional.linear(x, w)
    assert counted == []
    torch.testing.assert_close(found.to(expected.dtype), expected, rtol=1e-2, atol=1e-1)


def test_a_run_uses_them_where_a_layer_is_large_enough(counted, monkeypatch):
    run = runs.get("ring8", {"iterations": 1, "every": 1, "m": 4, "width": 8})
    Training(run, device="cpu").advance(1)
    assert counted
    counted.clear()
    monkeypatch.setattr(onednn, "WORTH_A_CALL", 2 * 4 * 16 * 8 + 1)  # the pair's largest layer is 16 -> 8
    Training(run, device="cpu").advance(1)
    assert counted == []


def test_the_lecture_does_not(counted):
    training = Training(runs.get("ring8", {"iterations": 1, "every": 1}), device="cpu")
    iteration(training.game, torch.Generator())
    assert counted == []
