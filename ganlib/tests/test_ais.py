"""Oracles: Gaussian decoders, whose p(x) is known; integrals by quadrature; the expectation of the weights."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import kstest, multivariate_normal, norm

from ganlib.metrics import ais
from ganlib.nets import PaperGenerator
from ganlib.sampling import Latent


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(n, chains, d, seed, dtype=torch.float64):
    return torch.randn(n, chains, d, generator=rng(seed), dtype=dtype)


class Linear:
    """x = W z + b + s e, z and e standard normal; its images come with the z that they were drawn from."""

    def __init__(self, d, dim, s, n, seed=0):
        self.w, self.b = draws(1, dim, d, seed)[0] / math.sqrt(d), draws(1, 1, dim, seed + 1)[0, 0]
        self.d, self.s = d, s
        self.z = draws(1, n, d, seed + 2)[0]
        self.x = self.decoder(self.z) + s * draws(1, n, dim, seed + 3)[0]
        self.f = ais.gaussian(self.decoder, self.x, s)

    def decoder(self, z):
        return z @ self.w.T + self.b

    def truth(self, s=None):
        cov = self.w @ self.w.T + (s or self.s) ** 2 * torch.eye(len(self.w), dtype=torch.float64)
        found = multivariate_normal(self.b.numpy(), cov.numpy()).logpdf(self.x.numpy())
        return torch.as_tensor(found).reshape(-1)

    def run(self, count, chains, backwards=False, leapfrog=5, **settings):
        betas, n = ais.schedule(count), len(self.x)
        steps = ais.tuned(self.f, draws(n, 8, self.d, 10), betas, leapfrog=leapfrog, rng=rng(11), **settings)
        if backwards:
            z = self.z[:, None].expand(-1, chains, -1)
            return ais.reverse(self.f, z, betas, steps, leapfrog=leapfrog, rng=rng(12))
        return ais.forward(self.f, draws(n, chains, self.d, 12), betas, steps, leapfrog=leapfrog, rng=rng(13))


@pytest.mark.parametrize(("d", "dim", "s"), [(1, 1, 0.5), (2, 5, 0.3), (5, 3, 0.3), (10, 30, 0.3)])
def test_a_linear_decoder_has_the_density_of_its_gaussian(d, dim, s):
    model = Linear(d, dim, s, n=4)
    found = model.run(120, 200)
    assert found.log_likelihood.dtype == torch.float64
    # The relative error of a mean of weights, (1 / effective - 1 / chains)^(1/2), is the error of its logarithm.
    error = (1 / found.effective - 1 / 200).sqrt()
    assert (error < 0.7).all()
    assert ((found.log_likelihood - model.truth()).abs() < 4 * error + 0.01).all()


def test_few_temperatures_are_too_low_forwards_and_too_high_backwards_and_more_close_the_gap():
    model = Linear(4, 8, 0.4, n=30)
    truth, gaps = model.truth().mean(), []
    for count in (4, 16, 150):
        below, above = (model.run(count, 4, backwards, leapfrog=10) for backwards in (False, True))
        assert (below.bound, above.bound) == ("lower", "upper")
        low, high = (truth - below.log_likelihood.mean()).item(), (above.log_likelihood.mean() - truth).item()
        gaps.append(low + high)
        if count < 150:
            assert low > 0.5
            assert high > 0.5
        else:
            assert abs(low) < 0.3
            assert abs(high) < 0.3
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_mean_weight_is_the_density_however_few_the_temperatures(count):
    """Not about its size but exact: this is what makes the logarithm's expectation a bound."""
    model = Linear(1, 1, 2.0, n=3)  # a wide likelihood: inverse weights have a variance, even at 2 temperatures
    assert model.w.square().sum() < 0.7 * 2.0**2
    betas, chains = ais.schedule(count), 40_000
    steps = torch.full((count, 3), 0.8, dtype=torch.float64)
    found = ais.forward(model.f, draws(3, chains, 1, 5), betas, steps, leapfrog=2, rng=rng(6))
    weights = (found.log_weights - model.truth()[:, None]).exp()
    assert ((weights.mean(1) - 1).abs() < 4 * weights.std(1) / math.sqrt(chains)).all()
    # Exact posterior samples of the conjugate Gaussian.
    precision = 1 + model.w.square().sum() / 4
    mean = (model.x - model.b) @ model.w / 4 / precision
    exact = mean[:, None] + draws(3, chains, 1, 7) / precision.sqrt()
    back = ais.reverse(model.f, exact, betas, steps, leapfrog=2, rng=rng(8))
    inverse = (model.truth()[:, None] - back.log_weights).exp()
    assert ((inverse.mean(1) - 1).abs() < 4 * inverse.std(1) / math.sqrt(chains)).all()


def test_two_temperatures_are_the_mean_of_the_likelihood_over_the_prior():
    model, z = Linear(3, 4, 0.5, n=2), draws(2, 50, 3, 1)
    found = ais.forward(model.f, z, [0, 1], torch.ones(2, 2), rng=rng())
    expected = model.f(z).exp().mean(1).log()
    torch.testing.assert_close(found.log_likelihood, expected)
    assert torch.equal(found.z, z)
    assert (found.acceptance == 1).all()
    back = ais.reverse(model.f, z, [0, 1], torch.ones(2, 2), rng=rng())
    torch.testing.assert_close(back.log_likelihood, -(-model.f(z)).exp().mean(1).log())


def test_the_path_has_the_density_under_every_larger_noise():
    """p(x|z; s)^beta is, up to its norm, p(x|z; s / beta^(1/2))."""
    model = Linear(2, 5, 0.2, n=4)
    found = model.run(160, 100)
    betas = ais.schedule(160)
    assert torch.equal(found.path[-1], found.log_likelihood)
    assert (found.path[0] == 0).all()
    for at in (40, 80, 120):
        beta = betas[at].item()
        s = 0.2 / math.sqrt(beta)
        shift = 5 * (beta * math.log(0.2 * math.sqrt(2 * math.pi)) - math.log(s * math.sqrt(2 * math.pi)))
        torch.testing.assert_close(found.path[at] + shift, model.truth(s), atol=0.3, rtol=0)


def test_the_chains_end_where_the_posterior_is():
    model = Linear(3, 6, 0.3, n=2)
    found = model.run(100, 500)
    precision = torch.eye(3, dtype=torch.float64) + model.w.T @ model.w / 0.09
    mean = torch.linalg.solve(precision, model.w.T @ (model.x - model.b).T / 0.09).T
    weights = found.log_weights.softmax(1)
    torch.testing.assert_close((weights[..., None] * found.z).sum(1), mean, atol=0.06, rtol=0)


def test_two_modes_are_both_counted():
    """x = z^2 + noise: the posterior has a mode at either root, and half the density would be missed with one."""
    x, s = torch.tensor([[4.0], [1.0]], dtype=torch.float64), 0.2
    f = ais.gaussian(lambda z: z.square(), x, s)
    betas = ais.schedule(100)
    steps = ais.tuned(f, draws(2, 20, 1, 0), betas, rng=rng(1))
    found = ais.forward(f, draws(2, 2000, 1, 2), betas, steps, rng=rng(3))
    for i in range(2):
        at = x[i].item()
        exact, _ = quad(lambda z, at=at: norm.pdf(z) * norm.pdf(at, z * z, s), -9, 9, points=[-2, -1, 1, 2])
        assert found.log_likelihood[i] == pytest.approx(math.log(exact), abs=0.1)
        weight = found.log_weights[i].softmax(0)[found.z[i, :, 0] > 0].sum().item()
        assert weight == pytest.approx(0.5, abs=0.1)
        assert found.z[i].abs().mean() == pytest.approx(math.sqrt(at), abs=0.1)


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_hmc_leaves_its_target_as_it_is(beta):
    model = Linear(2, 3, 0.7, n=1)
    precision = torch.eye(2, dtype=torch.float64) + beta * model.w.T @ model.w / 0.49
    covariance = torch.linalg.inv(precision)
    mean = covariance @ (beta * model.w.T @ (model.x - model.b)[0] / 0.49)
    z = mean + draws(1, 20_000, 2, 3) @ torch.linalg.cholesky(covariance).T
    generator, rejected = rng(4), 0.0
    for _ in range(4):
        z, accepted = ais.transition(model.f, z, beta, 0.7, leapfrog=3, rng=generator)
        rejected += 1 - accepted.mean().item()
    assert rejected > 0.05  # of steps so wide that what is not rejected would go astray
    found = z[0]
    assert ((found.mean(0) - mean).abs() < 4 * covariance.diagonal().sqrt() / math.sqrt(20_000)).all()
    torch.testing.assert_close(torch.cov(found.T), covariance, atol=4 * 2 / math.sqrt(20_000), rtol=0)
    whitened = (found - mean) @ torch.linalg.cholesky(precision)
    assert kstest(whitened.flatten().numpy(), "norm").pvalue > 1e-3


def test_hmc_finds_its_target_from_elsewhere():
    model = Linear(2, 3, 0.7, n=1)
    z, generator = torch.full((1, 4000, 2), 3.0, dtype=torch.float64), rng(4)
    for step in range(1, 21):  # one length of trajectory could be half a period, after which z is -z
        z, _ = ais.transition(model.f, z, 1.0, step / 80, rng=generator)
    precision = torch.eye(2, dtype=torch.float64) + model.w.T @ model.w / 0.49
    torch.testing.assert_close(torch.cov(z[0].T), torch.linalg.inv(precision), atol=0.05, rtol=0)


def test_the_energy_error_falls_with_the_square_of_the_step():
    """So the share that is rejected does, which is 1 - E min(1, exp(-error)), over a trajectory of one length."""
    model = Linear(3, 4, 0.5, n=1)
    z, rejected = draws(1, 4000, 3, 1), []
    for halvings in range(3):
        step, leapfrog = 0.16 / 2**halvings, 5 * 2**halvings
        _, accepted = ais.transition(model.f, z, 1.0, step, leapfrog=leapfrog, rng=rng(2))  # the same momenta
        rejected.append(1 - accepted.mean().item())
    assert rejected[2] > 0
    for coarse, fine in pairwise(rejected):
        assert coarse / fine == pytest.approx(4, rel=0.3)


def test_a_trajectory_is_the_exact_one_of_an_oscillator():
    """At beta 0 the target is N(0, I), where z(t) = z cos t + p sin t."""
    z = draws(1, 5, 3, 1)
    found, accepted = ais.transition(lambda z: z.sum(2), z, 0.0, 1e-3, leapfrog=1000, rng=rng(2))
    momentum = torch.randn(z.shape, generator=rng(2)).double()
    torch.testing.assert_close(found, z * math.cos(1) + momentum * math.sin(1), atol=1e-6, rtol=0)
    assert (accepted > 1 - 1e-5).all()


@pytest.mark.parametrize("target", [0.5, 0.65, 0.9])
def test_tuned_steps_are_accepted_as_often_as_asked(target):
    model = Linear(10, 30, 0.1, n=3)
    found = model.run(150, 8, target=target)
    assert found.acceptance.mean().item() == pytest.approx(target, abs=0.1)


def test_steps_are_found_for_each_target_and_shrink_with_the_posterior():
    model = Linear(10, 30, 0.1, n=2)
    model.x[1] = model.b  # other images do not change an image's
    betas = ais.schedule(100)
    steps = ais.tuned(model.f, draws(2, 8, 10, 1), betas, rng=rng(2))
    assert steps.shape == (100, 2)
    assert (steps[10] > 3 * steps[-1]).all()
    assert not torch.equal(steps[:, 0], steps[:, 1])
    few = ais.tuned(model.f, draws(2, 8, 10, 1), ais.schedule(2), rng=rng(2))  # nothing moves
    assert few.shape == (2, 2)
    assert ais.tuned(model.f, draws(2, 8, 10, 1), ais.schedule(3), pilot=1, rng=rng(2)).shape == (3, 2)


def test_a_net_of_rectifiers_with_a_uniform_latent_against_quadrature():
    torch.default_generator.manual_seed(0)
    net, latent = PaperGenerator(1, 8, outputs=2, output="linear", output_range=2.0), Latent(1)
    net.hidden1.weight.data *= 20
    net.hidden2.weight.data *= 10
    x, s = torch.tensor([[0.3, 0.1], [0.0, 0.0]]), 0.15
    f = ais.gaussian(lambda e: net(ais.from_normal(latent, e)), x, s)
    betas = ais.schedule(100)
    steps = ais.tuned(f, draws(2, 10, 1, 0, torch.float32), betas, rng=rng(1))
    found = ais.forward(f, draws(2, 1000, 1, 2, torch.float32), betas, steps, rng=rng(3))
    for i in range(2):

        def integrand(z, i=i):
            mean = net(torch.tensor([[z]], dtype=torch.float32)).detach()[0]
            return norm.pdf(x[i].numpy(), mean.numpy(), s).prod() / (2 * math.sqrt(3))

        exact, _ = quad(integrand, -math.sqrt(3), math.sqrt(3), limit=200, epsrel=1e-5)
        assert found.log_likelihood[i] == pytest.approx(math.log(exact), abs=0.1)


@pytest.mark.parametrize("latent", [Latent(3), Latent(3, "uniform", -1.0, 4.0), Latent(3, "normal")])
def test_the_prior_of_a_normal_has_the_priors_distribution(latent):
    e = torch.randn(4000, 3, generator=rng())
    z, drawn = ais.from_normal(latent, e), latent.minibatch(4000, rng(1))
    assert kstest(z.flatten().numpy(), drawn.flatten().numpy()).pvalue > 1e-3
    if latent.law == "uniform":
        expected = norm.cdf(e.numpy()) * (latent.high - latent.low) + latent.low
        torch.testing.assert_close(z, torch.as_tensor(expected, dtype=torch.float32), atol=1e-5, rtol=1e-5)
        assert latent.low <= z.min() < z.max() <= latent.high


def test_an_expectation_over_a_uniform_latent_is_that_over_the_normal():
    """E h(z), z uniform, as an integral over z and as one over e."""
    latent = Latent(1, "uniform", -1.0, 2.0)
    direct, _ = quad(lambda z: math.exp(math.sin(3 * z)) / 3, -1, 2)

    def pushed(e):
        z = ais.from_normal(latent, torch.tensor([e], dtype=torch.float64)).item()
        return norm.pdf(e) * math.exp(math.sin(3 * z))

    assert quad(pushed, -9, 9)[0] == pytest.approx(direct, rel=1e-7)


def test_the_log_likelihood_of_a_decoder_is_its_gaussians():
    x = torch.rand(3, 1, 2, 2, generator=rng(), dtype=torch.float64)
    z = draws(3, 5, 4, 1)
    found = ais.gaussian(lambda z: z.reshape(-1, 1, 2, 2), x, 0.3)(z)
    for i in range(3):
        for j in range(5):
            expected = norm.logpdf(x[i].flatten().numpy(), z[i, j].numpy(), 0.3).sum()
            assert found[i, j].item() == pytest.approx(expected)


def test_the_schedule_is_the_papers():
    """Wu et al.'s appendix: sigma(4 (2 t / T - 1)), shifted and scaled to [0, 1]."""
    found = ais.schedule(101)
    raw = [1 / (1 + math.exp(-4 * (2 * t / 100 - 1))) for t in range(101)]
    expected = [(each - raw[0]) / (raw[-1] - raw[0]) for each in raw]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert (found[0].item(), found[-1].item()) == (0, 1)


def test_chains_are_computed_in_parts_when_there_are_many(monkeypatch):
    model, widths = Linear(2, 3, 0.5, n=4), []

    def watched(z):
        widths.append(z.shape[1])
        return model.f(z)

    z, steps = draws(4, 10, 2, 1), torch.full((6, 4), 0.3)
    whole = ais.forward(watched, z, ais.schedule(6), steps, rng=rng())
    assert set(widths) == {10}
    widths.clear()
    monkeypatch.setattr(ais, "ROWS", 12)
    parts = ais.forward(watched, z, ais.schedule(6), steps, rng=rng())
    assert set(widths) == {3, 1}
    torch.testing.assert_close(parts.log_weights, whole.log_weights)


def test_the_effective_number_of_chains():
    z = torch.tensor([[[0.0], [0.0], [0.0]], [[0.0], [0.0], [0.0]]], dtype=torch.float64)
    logs = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 500.0]], dtype=torch.float64)
    found = ais.forward(lambda z: logs + z.sum(2), z, [0, 1], torch.ones(2, 2), rng=rng())
    assert found.effective.tolist() == pytest.approx([3, 1])
    assert found.log_likelihood.tolist() == pytest.approx([0, 500 - math.log(3)])
    assert "2.0 of 3 chains effective" in str(found)


def test_what_diverges_on_the_way_is_rejected_and_does_no_harm():
    """A log-likelihood that is no number beyond |z| = 5 and steps that go there."""

    def f(z):
        return torch.where(z.abs() < 5, -z.square(), z * math.nan).sum(2)

    z = draws(1, 2000, 1, 1)
    found = ais.forward(f, z, ais.schedule(5), torch.full((5, 1), 3.0), leapfrog=3, rng=rng())
    assert found.log_weights.isfinite().all()
    # exp(-z^2) under N(0, 1): 1 / 3^(1/2).
    assert found.log_likelihood.item() == pytest.approx(-math.log(3) / 2, abs=0.1)


GOOD = {"betas": [0.0, 0.5, 1.0], "step_sizes": torch.full((3, 2), 0.3), "leapfrog": 2}


@pytest.mark.parametrize("run", [ais.forward, ais.reverse])
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"betas": [1.0]}, r"betas is \[1.0\]; give at least 2"),
        ({"betas": [0.0, 0.5, 0.5, 1.0]}, "increase from 0 to 1"),
        ({"betas": [0.0, 0.5]}, "increase from 0 to 1"),
        ({"betas": [[0.0], [1.0]]}, "betas is"),
        ({"step_sizes": torch.ones(2, 2)}, r"step_sizes is \(2, 2\)"),
        ({"step_sizes": torch.zeros(3, 2)}, "step_sizes holds 0 to 0"),
        ({"leapfrog": 0}, "leapfrog is 0"),
        ({"z": torch.zeros(2, 3)}, r"z is \(2, 3\)"),
        ({"z": torch.full((2, 3, 1), math.inf)}, "z holds values that are not finite"),
        ({"z": torch.zeros(3, 3, 1)}, r"step_sizes is \(3, 2\), z \(3, 3, 1\)"),
        ({"log_likelihood": lambda z: z.sum(2) / 0}, "log_likelihood gave values that are not finite"),
        ({"log_likelihood": lambda z: (z.sum(2) - 2).log()}, "log_likelihood gave values that are not finite"),
        ({"log_likelihood": lambda z: z.sum()}, r"log_likelihood gave .* a floating-point tensor \(2, 3\)"),
        ({"log_likelihood": lambda z: None}, "log_likelihood gave None"),
        ({"log_likelihood": lambda z: z.detach().sum(2)}, "no gradient in z"),
    ],
)
def test_bad_input_is_refused_by_name(run, changed, says):
    good = {"log_likelihood": lambda z: -z.square().sum(2), "z": torch.ones(2, 3, 1), **GOOD}
    assert run(**good, rng=rng()).log_likelihood.shape == (2,)
    with pytest.raises((ValueError, TypeError), match=says):
        run(**good | changed, rng=rng())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ais.schedule(1), "count is 1"),
        (lambda: ais.schedule(5, 0.0), "spread is 0"),
        (lambda: ais.gaussian(lambda z: z, torch.zeros(2, 3), 0.0), "s is 0.0"),
        (lambda: ais.gaussian(lambda z: z, torch.zeros(2, 3), -1.0), "s is -1.0"),
        (lambda: ais.gaussian(lambda z: z, torch.full((2, 3), math.nan), 1.0), "x holds values"),
        (lambda: ais.gaussian(lambda z: z, torch.zeros(2, 3), 1.0)(torch.zeros(2, 1, 2)), r"x is \(2, 3\), z \(2, 1"),
        (lambda: ais.gaussian(lambda z: z, torch.zeros(2, 3), 1.0)(torch.zeros(1, 1, 3)), r"x is \(2, 3\), z \(1, 1"),
        (lambda: ais.from_normal(Latent(2), torch.zeros(3, 3)), r"e is \(3, 3\); the latent has 2"),
    ],
)
def test_impossible_arguments_are_refused_by_name(call, says):
    with pytest.raises(ValueError, match=says):
        call()
