"""Contractive autoencoders against autograd's Jacobians, their walk against explicit matrices and a linear chain."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from ganlib import data
from ganlib.errors import Diverged
from ganlib.lab.models.contractive import CAE, StackedCAE, training


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def points(*shape, seed=0):
    return torch.rand(shape, generator=rng(seed), dtype=torch.float64)


def drawn(cae, seed=0):
    """With biases too, in float64."""
    cae, r = cae.double(), rng(seed)
    with torch.no_grad():
        for parameter in cae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=r, dtype=torch.float64))
    return cae


def encoder(cae):
    """s(W x + b) for one x, written out."""
    return lambda x: 1 / (1 + torch.exp(-(cae.weight @ x + cae.hidden_bias)))


def jacobians(of, xs):
    return [torch.autograd.functional.jacobian(of, x) for x in xs]


def test_penalty_is_the_squared_norm_of_autograds_jacobian():
    cae, xs = drawn(CAE(5, 3)), points(4, 5)
    expected = torch.stack([J.square().sum() for J in jacobians(encoder(cae), xs)])
    torch.testing.assert_close(cae.penalty(xs), expected, rtol=1e-12, atol=0)
    assert expected.std() > 0.01 * expected.mean()


def test_loss_and_its_gradient_are_those_of_the_written_out_loss():
    cae, xs = drawn(CAE(5, 3)), points(4, 5)
    total = torch.zeros((), dtype=torch.float64)
    for x in xs:
        h = encoder(cae)(x)
        r = 1 / (1 + torch.exp(-(cae.weight.T @ h + cae.visible_bias)))
        J = torch.autograd.functional.jacobian(encoder(cae), x, create_graph=True)
        total = total - (x * r.log() + (1 - x) * (1 - r).log()).sum() + 0.7 * (J**2).sum()
    loss = cae.loss(xs, 0.7)
    torch.testing.assert_close(loss, total / 4, rtol=1e-12, atol=0)
    assert cae.loss(xs) < loss
    parameters = list(cae.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(total / 4, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-14)


def test_cross_entropy_stays_finite_where_the_reconstruction_is_0_or_1():
    cae = CAE(2, 1).double()
    with torch.no_grad():
        cae.visible_bias.copy_(torch.tensor([2000.0, -2000.0]))
        cae.weight.zero_()
    assert cae.loss(torch.tensor([[0.0, 0.0]], dtype=torch.float64)).item() == pytest.approx(2000)


def test_perturbation_has_the_covariance_of_the_jacobians():
    """J J^T noise has covariance (J J^T)^2 for noise of covariance 1."""
    cae, x = drawn(CAE(4, 3), 1), points(1, 4)
    J = jacobians(encoder(cae), x)[0]
    n, noise = 100_000, torch.randn(100_000, 3, generator=rng(2), dtype=torch.float64)
    found = cae.perturbation(cae.encode(x).expand(n, 3), noise)
    expected = J @ J.T @ J @ J.T
    # The standard error of a covariance of Gaussians: sqrt((S_ij^2 + S_ii S_jj) / n).
    error = ((expected.square() + expected.diag()[:, None] * expected.diag()[None]) / n).sqrt()
    assert (found.mean(0).abs() < 5 * (expected.diag() / n).sqrt()).all()
    assert ((found.T @ found / n - expected).abs() < 5 * error).all()


def whole(stack, walk):
    """One step from one x with one noise, of explicit matrices: the codes' walk, then the pixels' means."""
    first, second = stack.layers

    def decoded(layer, h):
        return 1 / (1 + torch.exp(-(layer.weight.T @ h + layer.visible_bias)))

    def step(x, noise):
        if walk == "top":  # x is a code of the first layer
            J = torch.autograd.functional.jacobian(encoder(second), x)
            return decoded(second, encoder(second)(x) + J @ J.T @ noise)
        J = torch.autograd.functional.jacobian(lambda x: encoder(second)(encoder(first)(x)), x)
        h = encoder(second)(encoder(first)(x)) + J @ J.T @ noise
        return decoded(first, decoded(second, h))

    if walk == "top":
        return step, encoder(first), lambda u: decoded(first, u)
    return step, lambda x: x, lambda x: x


@pytest.mark.parametrize("walk", ["top", "stack"])
def test_chain_is_the_process_of_explicit_jacobians(walk):
    stack = StackedCAE((5, 4, 3))
    for k, layer in enumerate(stack.layers):
        drawn(layer, k)
    start, sigma, noise = points(2, 5), 1.5, rng(7)
    step, enter, leave = whole(stack, walk)
    states = [enter(x) for x in start]
    found = list(stack.chain(start, 3, rng(7), sigma=sigma, walk=walk))
    for means in found:
        drawn_noise = sigma * torch.randn(2, 3, generator=noise, dtype=torch.float64)
        states = [step(x, each) for x, each in zip(states, drawn_noise, strict=True)]
        torch.testing.assert_close(means, torch.stack([leave(x) for x in states]), rtol=1e-10, atol=1e-12)
    assert (found[0] - next(stack.chain(start, 1, rng(8), sigma=sigma, walk=walk))).abs().max() > 1e-3
    assert not found[0].requires_grad


def test_without_noise_the_chain_is_repeated_reconstruction():
    stack = StackedCAE((6, 4, 3), seed=2)
    start = points(3, 6).float()
    x = start
    for means in stack.chain(start, 4, rng(), sigma=0, walk="stack"):
        x = stack.decode(stack.encode(x))
        torch.testing.assert_close(means, x)
    u = stack.layers[0].encode(start)
    for means in stack.chain(start, 4, rng(), sigma=0):
        u = stack.layers[1].decode(stack.layers[1].encode(u))
        torch.testing.assert_close(means, stack.layers[0].decode(u))


def test_small_noise_about_a_fixed_point_is_a_linear_chain():
    """With b = -W 1/2 and c = -W^T 1/2, x = 1/2 is a fixed point, where all slopes are 1/4.

    Then x_t - 1/2 = A (x_{t-1} - 1/2) + B noise, A = W^T W / 16, B = W^T W W^T / 64, up to third order: its stationary
    covariance solves S = A S A^T + sigma^2 B B^T, and the covariance one step apart is A S.
    """
    stack = StackedCAE((3, 2)).double()
    cae = stack.layers[0]
    with torch.no_grad():
        cae.weight.copy_(torch.tensor([[2.0, -1.0, 2.0], [0.5, 2.5, 1.0]]))
        cae.hidden_bias.copy_(-cae.weight.sum(1) / 2)
        cae.visible_bias.copy_(-cae.weight.sum(0) / 2)
    W = cae.weight.detach().numpy()
    A, B = W.T @ W / 16, W.T @ W @ W.T / 64
    sigma, chains = 1e-3, 40_000
    S = scipy.linalg.solve_discrete_lyapunov(A, sigma**2 * B @ B.T)
    *_, before, after = stack.chain(
        torch.full((chains, 3), 0.5, dtype=torch.float64), 40, rng(3), sigma=sigma, walk="stack"
    )
    before, after = (before - 0.5).numpy(), (after - 0.5).numpy()
    assert 0.5 < np.linalg.eigvalsh(A).max() < 0.7  # forty steps forget the start
    variances = np.sqrt(np.diag(S))
    error = 5 * np.sqrt(2 / chains) * variances[:, None] * variances[None]
    assert (np.abs(after.T @ after / chains - S) < error).all()
    assert (np.abs(after.T @ before / chains - A @ S) < error).all()


def test_one_layer_walks_the_same_way_by_both_names():
    stack, start = StackedCAE((5, 3)), points(2, 5).float()
    for one, other in zip(stack.chain(start, 3, rng()), stack.chain(start, 3, rng(), walk="stack"), strict=True):
        assert torch.equal(one, other)


def test_chain_leaves_start_weights_gradients_and_the_global_generator_alone():
    stack, start = StackedCAE((5, 4, 3)), points(2, 5).float()
    kept, weights = start.clone(), [p.clone() for p in stack.parameters()]
    state = torch.get_rng_state()
    for means in stack.chain(start, 3, rng(), sigma=50.0):
        assert torch.is_grad_enabled()  # between two yields, too
        assert means.shape == (2, 5)
        assert 0 <= means.min() <= means.max() <= 1
    assert torch.equal(start, kept)
    assert all(torch.equal(*pair) for pair in zip(weights, stack.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def digits(n=400):
    return data.load("digits").pixels[:n].flatten(1).float() / 255


def test_greedy_training_lowers_the_loss_of_each_layer_and_the_reconstruction_of_held_out_digits():
    stack = StackedCAE((784, 60, 40))
    images, held_out = digits(), data.load("digits", "test").pixels.flatten(1).float() / 255
    before = (stack.decode(stack.encode(held_out)) - held_out).square().sum(1).mean()
    for k, layer in enumerate(stack.layers):
        descent = training(layer, stack.inputs(k, images, batch=150), lr=0.05, m=20)
        first = descent.advance(descent.epoch_length)
        descent.advance(28 * descent.epoch_length)
        assert descent.advance(descent.epoch_length) < 0.9 * first
    after = (stack.decode(stack.encode(held_out)) - held_out).square().sum(1).mean()
    means = (images.mean(0) - held_out).square().sum(1).mean()  # what a constant would give
    assert after < 0.9 * means < before


def test_contraction_lowers_the_jacobian():
    images = digits(200)

    def norm(contraction):
        cae = CAE(784, 30)
        descent = training(cae, images, contraction=contraction, lr=0.05)
        descent.advance(15 * descent.epoch_length)
        return cae.penalty(images).mean().item()

    none, little, much = map(norm, (0, 0.1, 10))
    assert much < 0.5 * none
    assert little < none


def test_the_second_layer_is_trained_on_the_firsts_codes():
    stack, images = StackedCAE((5, 4, 3)), points(7, 5).float()
    assert torch.equal(stack.inputs(0, images), images)
    codes = stack.inputs(1, images, batch=2)
    torch.testing.assert_close(codes, stack.layers[0].encode(images))
    assert not codes.requires_grad
    torch.testing.assert_close(stack.encode(images), stack.layers[1].encode(codes))


def test_stopped_and_gone_on_with_training_ends_with_the_same_bits():
    images = digits(50)

    def fresh(seed=0):
        return training(CAE(784, 8), images, lr_decay=0.9, momentum=0.5, m=8, seed=seed)

    whole, first, second, other = fresh(), fresh(), fresh(), fresh(seed=1)
    whole.advance(17)
    first.advance(7)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    second.advance(10)
    assert all(torch.equal(tensor, second.state()[name]) for name, tensor in whole.state().items())
    other.advance(17)
    assert not torch.equal(other.model.weight, whole.model.weight)
    assert whole.rng.initial_seed() == 0


def test_starts_are_seeded_and_of_the_published_width():
    cae = CAE(200, 100, seed=1)
    bound = 4 * math.sqrt(6 / 300)
    assert 0.99 * bound < cae.weight.abs().max() <= bound
    assert not torch.cat([cae.hidden_bias, cae.visible_bias]).any()
    assert torch.equal(cae.weight, CAE(200, 100, seed=1).weight)
    assert not torch.equal(cae.weight, CAE(200, 100).weight)
    one, other = StackedCAE((6, 6, 6)).layers
    assert not torch.equal(one.weight, other.weight)


def test_divergence_is_said():
    with pytest.raises(Diverged, match="CAE"):
        training(CAE(784, 8), digits(50), lr=1e20, contraction=1e6).advance(20)


STACK, IMAGES = StackedCAE((5, 4, 3)), torch.full((4, 5), 0.5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CAE(0, 3), "visible is 0"),
        (lambda: CAE(3, 2.0), "hidden is 2.0"),
        (lambda: CAE(3, 2, seed=2**70), "seed"),
        (lambda: StackedCAE((5,)), r"sizes is \(5,\)"),
        (lambda: StackedCAE((5, 0)), "sizes is 0"),
        (lambda: StackedCAE(5), "give a tuple or list"),
        (lambda: CAE(5, 3).encode(torch.zeros(2, 4)), r"x is \(2, 4\)"),
        (lambda: CAE(5, 3).decode(torch.zeros(2, 5)), r"h is \(2, 5\)"),
        (lambda: CAE(5, 3).loss(IMAGES, -0.1), "contraction is -0.1"),
        (lambda: CAE(5, 3).perturbation(torch.zeros(2, 3), torch.zeros(1, 3)), "one noise a code"),
        (lambda: CAE(5, 3).perturbation(torch.zeros(2, 3), torch.zeros(2, 5)), "noise is"),
        (lambda: STACK.inputs(2, IMAGES), "layer is 2"),
        (lambda: STACK.inputs(1, IMAGES, batch=0), "batch is 0"),
        (lambda: STACK.inputs(0, IMAGES[:, :4]), r"images is \(4, 4\)"),
        (lambda: STACK.chain(IMAGES, 0, rng()), "steps is 0"),
        (lambda: STACK.chain(IMAGES, 1, rng(), sigma=-1), "sigma is -1"),
        (lambda: STACK.chain(IMAGES, 1, rng(), sigma=math.inf), "sigma is inf"),
        (lambda: STACK.chain(IMAGES, 1, rng(), walk="bottom"), "walk is 'bottom'; there are top, stack"),
        (lambda: STACK.chain(IMAGES * 3, 1, rng()), r"start lies in \[1.5, 1.5\]"),
        (lambda: STACK.chain(IMAGES * math.nan, 1, rng()), "start holds values that are not finite"),
        (lambda: STACK.chain(IMAGES.double(), 1, rng()), "start is torch.float64"),
        (lambda: STACK.chain(IMAGES[0], 1, rng()), "start is"),
        (lambda: STACK.chain(IMAGES, 1, 0), "rng is 0"),
        (lambda: training(STACK, IMAGES), "cae is"),
        (lambda: training(CAE(5, 3), IMAGES, contraction=math.nan, m=2), "contraction is nan"),
        (lambda: training(CAE(4, 3), IMAGES, m=2), r"data is \(4, 5\)"),
        (lambda: training(CAE(5, 3), IMAGES * 3, m=2), r"give images in \[0, 1\]"),
        (lambda: training(CAE(5, 3), IMAGES), "m = 20"),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises((TypeError, ValueError), match=says):
        make()
