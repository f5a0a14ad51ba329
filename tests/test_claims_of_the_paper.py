"""Claims of the paper that have no test elsewhere, each as a small experiment or a calculation.

The list is book/claims.yml. What is expected is computed here from formulas, by enumeration or by SciPy, not by the
functions under test.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import norm
from torch import Tensor, nn

from ganlib import data, losses, nets, sampling, theory, toys
from ganlib.algorithm1 import Game, algorithm1, iteration, simultaneous_iteration
from ganlib.lab.models.rbm import RBM
from ganlib.metrics import parzen
from ganlib.sampling import Latent

LOG4 = math.log(4)


def value(d: np.ndarray, p: np.ndarray, q: np.ndarray) -> float:
    """V(D, G) on a finite set, from equation 1."""
    return float(p @ np.log(d) + q @ np.log1p(-d))


def cost(p: np.ndarray, q: np.ndarray) -> float:
    """C(G) on a finite set, from equation 4."""
    return float(p @ np.log(p / (p + q)) + q @ np.log(q / (p + q)))


def pairs(count: int, size: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [tuple(rng.dirichlet(np.full(size, 2.0), 2)) for _ in range(count)]


def digits(split: str = "train") -> Tensor:
    return data.load("digits", split).flattened().floats()


def pair_of_nets(seed: int = 0) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(seed)
    return nets.MLP((2, 8, 1), "tanh", squeeze=False), nets.MLP((1, 8, 1), "tanh")


def game(generator: nn.Module, discriminator: nn.Module, d_lr: float = 0.05, g_lr: float = 0.05, **settings) -> Game:
    rules = {"d_optimiser": (discriminator, d_lr), "g_optimiser": (generator, g_lr)}
    players = {name: torch.optim.SGD(net.parameters(), lr) for name, (net, lr) in rules.items()}
    source = settings.pop("data", toys.gaussian(4.0, 0.5))
    return Game(generator, discriminator, source, Latent(2), **players, **settings)


def flat(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


# ---------------------------------------------------------------- the game


def test_the_game_is_zero_sum_with_the_minimax_loss_only() -> None:
    """What G gains by a fake, D loses, if G's loss is log(1 - D(G(z))); not if it is -log D(G(z))."""
    real = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
    for loss, zero_sum in ((losses.minimax, True), (losses.non_saturating, False)):
        fake = torch.tensor([-2.0, 0.1, 1.5], dtype=torch.float64, requires_grad=True)
        (losses.discriminator_loss(real, fake) + loss(fake)).backward()
        assert (fake.grad.abs().max().item() < 1e-12) == zero_sum


def test_fewer_mistakes_may_be_the_better_loss_for_g() -> None:
    """D is wrong about every sample of one G and about half of another's, and the loss of the second is lower."""
    always, half = torch.tensor([0.51, 0.51]), torch.tensor([0.999, 0.4])
    mistakes = [(d > 0.5).float().mean().item() for d in (always, half)]
    lost = [losses.minimax(torch.logit(d)).item() for d in (always, half)]
    assert mistakes == [1.0, 0.5]
    assert lost == pytest.approx([math.log(0.49), (math.log(0.001) + math.log(0.6)) / 2], abs=1e-4)
    assert lost[1] < lost[0]


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, z: Tensor) -> Tensor:
        return self.factor * z


def test_two_generators_may_be_one_distribution() -> None:
    """The solution is unique as a distribution: G(z) = z and G(z) = -z are two functions and one p_g."""
    one, other = (sampling.sample(Times(factor), Latent(1), 20_000) for factor in (1.0, -1.0))
    assert not torch.equal(one, other)
    levels = torch.linspace(0.05, 0.95, 19)
    uniform = math.sqrt(3) * (2 * levels - 1)
    for x in (one, other):
        torch.testing.assert_close(torch.quantile(x, levels), uniform, atol=0.05, rtol=0)


def test_an_iteration_is_a_fixed_number_of_passes_and_a_sample_is_one() -> None:
    """No chain, no inference loop: k + 1 passes of G and 2k + 1 of D, linear in k. One pass of G draws."""
    for k in (1, 2, 5):
        generator, discriminator = pair_of_nets()
        passes = {"G": 0, "D": 0}

        def count(name: str, passes: dict[str, int] = passes) -> Callable[..., None]:
            def hook(*_: object) -> None:
                passes[name] += 1

            return hook

        generator.register_forward_hook(count("G"))
        discriminator.register_forward_hook(count("D"))
        iteration(game(generator, discriminator, k=k), torch.Generator().manual_seed(0))
        assert passes == {"G": k + 1, "D": 2 * k + 1}
        passes["G"] = 0
        sampling.sample(generator, Latent(2), 500)
        assert passes == {"G": 1, "D": 2 * k + 1}


def test_simultaneous_updates_move_both_from_the_same_parameters() -> None:
    """As the published code does: on one minibatch, and G against D as it was."""
    generator, discriminator = pair_of_nets()
    g, d = copy.deepcopy((generator, discriminator))
    rng, latent, source, lr = torch.Generator().manual_seed(0), Latent(2), toys.gaussian(4.0, 0.5), 0.5
    z, x = latent.minibatch(100, rng), source.minibatch(100, rng)
    simultaneous_iteration(game(generator, discriminator, lr, lr), torch.Generator().manual_seed(0))
    v = torch.log(d(x).sigmoid()).mean() + torch.log(1 - d(g(z)).sigmoid()).mean()
    fooled = torch.log(d(g(z)).sigmoid()).mean()
    for net, objective, moved in ((d, v, discriminator), (g, fooled, generator)):
        slope = torch.cat(
            [s.flatten() for s in torch.autograd.grad(objective, list(net.parameters()), retain_graph=True)]
        )
        assert slope.norm() > 0.05
        torch.testing.assert_close(flat(moved) - flat(net), lr * slope, atol=1e-6, rtol=1e-4)


def test_the_generators_step_sees_no_data() -> None:
    """With D held, the data make no difference to G's step, to the bit; with a D that learns they do, through D."""

    def after(mean: float, d_lr: float) -> Tensor:
        generator, discriminator = pair_of_nets()
        iteration(game(generator, discriminator, d_lr, data=toys.gaussian(mean)), torch.Generator().manual_seed(0))
        return flat(generator)

    assert torch.equal(after(4.0, d_lr=0.0), after(-4.0, d_lr=0.0))
    assert not torch.equal(after(4.0, d_lr=0.05), after(-4.0, d_lr=0.05))


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
@pytest.mark.parametrize("seed", range(4))
def test_a_small_step_of_g_goes_where_d_is_larger(loss: str, seed: int) -> None:
    """Mean D of the samples rises, on the noise of the step and with D held."""
    generator, discriminator = pair_of_nets(seed)
    rng = torch.Generator().manual_seed(0)
    latent, source = Latent(2), toys.gaussian()
    z = [latent.minibatch(100, rng), source.minibatch(100, rng), latent.minibatch(100, rng)][2]  # as k = 1 draws them
    before = discriminator(generator(z)).sigmoid().mean().item()
    iteration(game(generator, discriminator, 0.0, 0.1, loss=loss, data=source), torch.Generator().manual_seed(0))
    assert discriminator(generator(z)).sigmoid().mean().item() > before + 1e-6


class Affine(nn.Module):
    """G(z) = a z + b with two numbers: no network."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        return self.a * z[:, :1] + self.b


MODELS = {
    "two numbers": Affine,
    "a perceptron": lambda: nets.MLP((2, 16, 1), squeeze=False),
    "noise in the middle": lambda: nn.Sequential(nets.MLP((2, 16)), nn.Dropout(0.2), nets.MLP((16, 1), squeeze=False)),
}
RULES = {
    "gradient descent": lambda p: torch.optim.SGD(p, 0.05),
    "momentum": lambda p: torch.optim.SGD(p, 0.02, momentum=0.5),
    "Adam": lambda p: torch.optim.Adam(p, 5e-3, betas=(0.5, 0.999)),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 3e-3),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("model", MODELS)
def test_other_models_and_other_rules_learn_by_the_same_loop(model: str, rule: str) -> None:
    """From a mean near 0 to the data's mean, 2, within one half."""
    torch.manual_seed(0)
    generator, discriminator = MODELS[model](), nets.MLP((1, 32, 1))
    players = {
        f"{name}_optimiser": RULES[rule](net.parameters()) for name, net in (("d", discriminator), ("g", generator))
    }
    start = sampling.sample(generator, Latent(2), 2000).mean().item()
    list(algorithm1(generator, discriminator, toys.gaussian(2.0), Latent(2), **players, iterations=600, m=64))
    assert abs(start - 2) > 1
    assert abs(sampling.sample(generator, Latent(2), 2000).mean().item() - 2) < 0.5


def test_the_scale_of_noise_on_the_output_can_be_learned() -> None:
    """G(z) = a z + b with normal z is a Gaussian whose deviation, a, is a parameter: from 1 to the data's, one half."""
    torch.manual_seed(0)
    generator, discriminator = Affine(), nets.MLP((1, 32, 1))
    players = {
        f"{name}_optimiser": torch.optim.Adam(net.parameters(), 5e-3, betas=(0.5, 0.999))
        for name, net in (("d", discriminator), ("g", generator))
    }
    source, latent = toys.gaussian(2.0, 0.5), Latent(2, "normal")
    list(algorithm1(generator, discriminator, source, latent, **players, iterations=1000, m=128))
    assert abs(generator.a.item()) == pytest.approx(0.5, abs=0.2)
    assert generator.b.item() == pytest.approx(2, abs=0.3)


def test_only_what_has_a_derivative_can_be_trained() -> None:
    """Rounded outputs, and a rounded code between an encoder and a decoder: no gradient arrives."""
    generator, discriminator = pair_of_nets()
    z = Latent(2).minibatch(64, torch.Generator().manual_seed(0))
    for last, arrives in ((lambda x: x, True), (torch.round, False)):
        generator.zero_grad()
        losses.non_saturating(discriminator(last(generator(z)))).backward()
        assert any(p.grad.abs().max() > 0 for p in generator.parameters()) == arrives

    encoder, decoder = nets.MLP((3, 8, 2)), nets.MLP((2, 8, 3))
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    for code, arrives in ((lambda mean: mean + torch.ones_like(mean), True), (torch.round, False)):
        encoder.zero_grad()
        (decoder(code(encoder(x))) - x).square().mean().backward()
        assert any(p.grad.abs().max() > 0 for p in encoder.parameters()) == arrives


def test_small_noise_leaves_the_gradient_where_there_is_one() -> None:
    """The observation of section 2: the gradient of E f(x + e) tends to f'(x); for a step it has no limit."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def smoothed_slope(f: Callable, x: float, sigma: float) -> float:
        return float(weights @ (nodes * f(x + sigma * nodes))) / sigma  # Stein: E[e f(x + s e)] / s

    x, f = 0.7, lambda t: np.sin(3 * t) + t**3
    off = [abs(smoothed_slope(f, x, s) - (3 * math.cos(3 * x) + 3 * x**2)) for s in (0.3, 0.1, 0.03, 0.01)]
    assert all(a > 5 * b for a, b in itertools.pairwise(off))
    assert off[-1] < 1e-2
    slopes = [smoothed_slope(np.sign, 0.0, s) for s in (0.3, 0.1, 0.03, 0.01)]
    assert all(2.9 < b / a < 3.5 for a, b in itertools.pairwise(slopes))


# ---------------------------------------------------------------- related work


def test_rectifiers_pass_gradients_on_and_sigmoids_shrink_them() -> None:
    x = torch.linspace(-6, 6, 401, dtype=torch.float64).requires_grad_()
    slopes = {}
    for name, unit in (("relu", torch.relu), ("sigmoid", torch.sigmoid)):
        (slopes[name],) = torch.autograd.grad(unit(x).sum(), x)
    assert set(slopes["relu"].tolist()) == {0.0, 1.0}
    assert slopes["sigmoid"].max().item() == pytest.approx(0.25)
    through = {}
    for name, unit in (("relu", torch.relu), ("sigmoid", torch.sigmoid)):
        start = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
        end = start
        for _ in range(10):
            end = unit(end)
        (slope,) = torch.autograd.grad(end, start)
        through[name] = slope.item()
    assert through["relu"] == 1
    assert 0 < through["sigmoid"] < 4.0**-10


@pytest.mark.parametrize("visible", [3, 6, 9])
def test_the_partition_function_needs_every_state_and_their_number_doubles(visible: int) -> None:
    """By enumeration of visible and hidden units; with one state left out the sum is another."""
    machine, rng = RBM(visible, 4).double(), torch.Generator().manual_seed(visible)
    for name in ("weight", "visible_bias", "hidden_bias"):
        setattr(machine, name, torch.randn(getattr(machine, name).shape, generator=rng, dtype=torch.float64))
    states = [torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64) for n in (visible, 4)]
    v, h = states
    minus_energy = (v @ machine.weight) @ h.T + (v @ machine.visible_bias)[:, None] + h @ machine.hidden_bias
    all_of_it = minus_energy.logsumexp((0, 1))
    terms = -machine.free_energy(v)
    assert len(terms) == 2**visible
    assert terms.logsumexp(0).item() == pytest.approx(all_of_it.item(), abs=1e-9)
    for left_out in range(len(terms)):
        assert terms[torch.arange(len(terms)) != left_out].logsumexp(0) < all_of_it


def test_a_boltzmann_machines_normaliser_may_be_approximated_with_ais() -> None:
    """Annealed importance sampling, against the sum over all states."""
    machine, rng = RBM(8, 4).double(), torch.Generator().manual_seed(0)
    for name in ("weight", "visible_bias", "hidden_bias"):
        setattr(machine, name, torch.randn(getattr(machine, name).shape, generator=rng, dtype=torch.float64))
    states = torch.tensor(list(itertools.product((0.0, 1.0), repeat=8)), dtype=torch.float64)
    exact = (-machine.free_energy(states)).logsumexp(0).item()
    weight, visible, hidden = machine.weight, machine.visible_bias, machine.hidden_bias

    def log_p(v: Tensor, beta: float) -> Tensor:
        return beta * (v @ visible) + nn.functional.softplus(beta * (v @ weight + hidden)).sum(1)

    betas = torch.linspace(0, 1, 201, dtype=torch.float64).tolist()
    v = torch.rand(500, 8, generator=rng, dtype=torch.float64).round()  # beta = 0: every state is as likely
    log_w = torch.full((500,), 12 * math.log(2), dtype=torch.float64)
    for before, beta in itertools.pairwise(betas):
        log_w += log_p(v, beta) - log_p(v, before)
        h = torch.bernoulli((beta * (v @ weight + hidden)).sigmoid(), generator=rng)
        v = torch.bernoulli((beta * (h @ weight.T + visible)).sigmoid(), generator=rng)
    assert log_w.logsumexp(0).item() - math.log(500) == pytest.approx(exact, abs=0.1)


def test_a_deep_belief_net_has_the_difficulties_of_both_kinds() -> None:
    """By enumeration, with a machine of 4 and 3 units on top and 2 visible units below.

    Undirected: every state of the top counts in its sum. Directed: given v, the units above depend on each other. And
    p(v) up to a constant is a sum over all states of the layer above.
    """
    rng = np.random.default_rng(0)
    top, down, bias = rng.normal(0, 2, (4, 3)), rng.normal(0, 2, (2, 4)), rng.normal(0, 1, 2)
    h1 = np.array(list(itertools.product((0.0, 1.0), repeat=4)))
    weight = np.prod(1 + np.exp(h1 @ top), axis=1)  # of each state of the layer, the units above it summed out
    on = 1 / (1 + np.exp(-(h1 @ down.T + bias)))
    v = np.array([1.0, 0.0])
    of_v = weight * np.prod(np.where(v == 1, on, 1 - on), axis=1)
    for terms in (weight, of_v):
        for left_out in range(16):
            assert np.delete(terms, left_out).sum() < terms.sum()
    posterior = of_v / of_v.sum()
    ones = posterior @ h1
    apart = np.prod(np.where(h1 == 1, ones, 1 - ones), axis=1)  # were the units independent given v
    assert np.abs(posterior - apart).sum() / 2 > 0.05


def test_score_matching_needs_the_density_up_to_its_constant() -> None:
    """The constant makes no difference; a factor that is left out does."""
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 2

    def objective(log_p: Callable[[Tensor], Tensor]) -> Tensor:
        at = x.clone().requires_grad_()
        (score,) = torch.autograd.grad(log_p(at).sum(), at, create_graph=True)
        (slope,) = torch.autograd.grad(score.sum(), at, create_graph=True)
        return (score**2 / 2 + slope).mean()

    def best(known: Callable[[Tensor], Tensor]) -> float:
        precisions = torch.arange(1.0, 8.0, 0.1, dtype=torch.float64)
        found = [objective(lambda u, t=t: known(u) - t * u**2 / 2).item() for t in precisions]
        return precisions[int(np.argmin(found))].item()

    assert best(lambda u: 0 * u) == pytest.approx(4, abs=0.15)
    assert best(lambda u: 0 * u + 7.0) == pytest.approx(4, abs=0.15)
    assert best(lambda u: -(u**2)) == pytest.approx(2, abs=0.15)  # exp(-u^2) beside it: what is fitted is the rest


def test_a_denoising_autoencoders_step_is_the_score_of_a_boltzmann_machine() -> None:
    """With Gaussian visible units: reconstruction minus input is the gradient of log p in the input."""
    rng = torch.Generator().manual_seed(0)
    weight, b, c = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((5, 7), (7,), (5,)))
    x = torch.randn(20, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    minus_free_energy = nn.functional.softplus(x @ weight + b).sum() - ((x - c) ** 2).sum() / 2
    (score,) = torch.autograd.grad(minus_free_energy, x)
    reconstruction = torch.sigmoid(x @ weight + b) @ weight.T + c
    torch.testing.assert_close(reconstruction - x, score)


def test_one_step_of_a_chain_is_learned_by_backpropagation() -> None:
    """A generative stochastic network in the small: fitted to undo noise, its chain has the data's deviation."""
    rng = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(20_000, generator=rng, dtype=torch.float64)
    noisy = x + torch.randn(20_000, generator=rng, dtype=torch.float64)
    factor, log_std = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    optimiser = torch.optim.LBFGS([factor, log_std], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = (log_std + (x - factor * noisy) ** 2 / (2 * torch.exp(2 * log_std))).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    a, std = factor.item(), log_std.exp().item()
    variance = (a**2 + std**2) / (1 - a**2)  # of the chain x' = a (x + e) + std e', where it has come to rest
    assert math.sqrt(variance) == pytest.approx(2, abs=0.1)


def test_lower_bounds_of_two_likelihoods_do_not_bound_their_ratio() -> None:
    """Each variational bound lies below its likelihood, and their difference on either side of the true one."""
    rng = np.random.default_rng(0)
    sides = set()
    for _ in range(50):
        one, other = rng.dirichlet(np.ones(4), 2) * rng.uniform(0.1, 0.9, (2, 1))  # p(x, z) for each z, at one x
        bounds = []
        for joint in (one, other):
            q = rng.dirichlet(np.ones(4))
            bounds.append(q @ (np.log(joint) - np.log(q)))
            assert bounds[-1] <= np.log(joint.sum()) + 1e-12
        sides.add(bool(bounds[0] - bounds[1] < np.log(one.sum() / other.sum())))
    assert sides == {True, False}


def test_nce_against_the_model_before_makes_models_of_increasing_quality() -> None:
    """Data N(3, 1), models N(t, 1) from t = 0; each is told apart from the one before it, in a few steps."""
    x = np.linspace(-9, 12, 4201)
    cell, t = x[1] - x[0], 0.0
    divergence = [(t - 3) ** 2 / 2]
    for _ in range(8):
        noise = norm.pdf(x, t)
        for _ in range(5):
            d = norm.pdf(x, t) / (norm.pdf(x, t) + noise)
            t += 0.5 * ((1 - d) * norm.pdf(x, 3) - d * noise) @ (x - t) * cell
        divergence.append((t - 3) ** 2 / 2)
    assert all(b < a for a, b in itertools.pairwise(divergence))
    assert divergence[-1] < divergence[0] / 100


def test_nce_slows_down_once_a_few_variables_are_right() -> None:
    """Seven independent variables: the more of them fit, the smaller the gradient of the next, as the noise is fixed.

    Noise drawn from the model itself, as a generator's samples are, leaves the gradient as it was.
    """
    rng, d, std = np.random.default_rng(0), 7, 0.2
    x = std * rng.standard_normal((50_000, d))

    def slope(right: int, noise_std: np.ndarray) -> float:
        """Of the objective in the logarithm of the last variable's deviation, which starts at 1."""
        model = np.where(np.arange(d) < right, std, 1.0)
        noise = noise_std * rng.standard_normal(x.shape)

        def logit(u: np.ndarray) -> np.ndarray:
            return (norm.logpdf(u, scale=model) - norm.logpdf(u, scale=noise_std)).sum(1)

        on_data = ((1 - 1 / (1 + np.exp(-logit(x)))) * (x[:, -1] ** 2 - 1)).mean()
        on_noise = (1 / (1 + np.exp(-logit(noise))) * (noise[:, -1] ** 2 - 1)).mean()
        return abs(float(on_data - on_noise))

    fixed = [slope(right, np.ones(d)) for right in range(6)]
    assert fixed[0] == pytest.approx((1 - std**2) / 2, abs=0.01)
    assert all(b < 0.75 * a for a, b in itertools.pairwise(fixed))
    assert fixed[5] < fixed[0] / 10
    moving = [slope(right, np.where(np.arange(d) < right, std, 1.0)) for right in range(6)]
    assert min(moving) > 0.9 * fixed[0]


def test_nce_needs_the_density_of_its_noise() -> None:
    """With it the model comes out; without it, what comes out is the ratio of the two densities."""
    rng = torch.Generator().manual_seed(0)
    x = (1 + 0.5 * torch.randn(40_000, generator=rng)).double()
    noise = torch.randn(40_000, generator=rng).double()

    def fitted(log_noise: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        mean, log_std, log_c = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(3))
        optimiser = torch.optim.LBFGS([mean, log_std, log_c], max_iter=200, line_search_fn="strong_wolfe")

        def logit(u: Tensor) -> Tensor:
            return log_c - (u - mean) ** 2 / (2 * torch.exp(2 * log_std)) - log_noise(u)

        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = losses.discriminator_loss(logit(x), logit(noise))
            loss.backward()
            return loss

        optimiser.step(closure)
        return mean.item(), log_std.exp().item()

    assert fitted(lambda u: -(u**2) / 2) == pytest.approx((1.0, 0.5), abs=0.03)
    # log p - log q of N(1, 1/4) and N(0, 1): precision 4 - 1, mean 4 / 3
    assert fitted(torch.zeros_like) == pytest.approx((4 / 3, 3**-0.5), abs=0.06)


def test_rectifiers_in_a_loop_are_unbounded_and_sigmoids_are_not() -> None:
    """And not with weights that shrink."""
    rng = np.random.default_rng(0)
    w = np.abs(rng.standard_normal((20, 20)))
    w /= np.abs(np.linalg.eigvals(w)).max()

    def end(unit: Callable, gain: float) -> float:
        x = rng.random(20)
        for _ in range(100):
            x = unit(gain * w @ x)
        return float(np.abs(x).max())

    def rectifier(t: np.ndarray) -> np.ndarray:
        return np.maximum(t, 0)

    assert end(rectifier, 1.5) > 1e15
    assert end(rectifier, 0.9) < 1
    assert end(lambda t: 1 / (1 + np.exp(-t)), 1.5) <= 1


def test_a_discriminator_can_be_sure_of_what_is_no_digit() -> None:
    """Adversarial examples: the gradient of D leads from grey to an image with D > .99 that is far from every digit."""
    images = digits()[:1000]
    rng = torch.Generator().manual_seed(0)
    shuffled = torch.gather(images, 0, torch.rand(images.shape, generator=rng).argsort(0))
    torch.manual_seed(0)
    discriminator = nets.MLP((784, 64, 1))
    optimiser = torch.optim.Adam(discriminator.parameters(), 1e-3)
    for _ in range(150):
        optimiser.zero_grad()
        losses.discriminator_loss(discriminator(images), discriminator(shuffled)).backward()
        optimiser.step()
    x = torch.full((1, 784), 0.5)
    for _ in range(200):
        x.requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x)
        x = (x + 0.02 * slope / slope.norm()).detach().clamp(0, 1)
    assert discriminator(x).sigmoid().item() > 0.99
    new = torch.cdist(digits("test"), images).min(1).values
    assert torch.cdist(x, images).min().item() > new.max().item()


def test_the_equilibrium_is_a_saddle_point() -> None:
    """V(D, p) <= V(1/2, p) = V(1/2, q) for every D and every p_g = q, with p the data's distribution."""
    rng = np.random.default_rng(1)
    for p, q in pairs(200):
        d, half = rng.uniform(0.01, 0.99, len(p)), np.full(len(p), 0.5)
        assert theory.value(d, p, p) == pytest.approx(value(d, p, p), abs=1e-12)
        assert value(d, p, p) <= value(half, p, p) == pytest.approx(-LOG4)
        assert value(half, p, q) == pytest.approx(-LOG4)
        assert max(value(p / (p + q), p, q), -LOG4) > -LOG4  # any other p_g loses to its best D


# ---------------------------------------------------------------- section 3 and Figure 1


def worst_gap(g_rate: float, steps: int = 3000) -> float:
    """How far D falls behind the best, in nats, while G moves: one step each, with exact gradients, on eight points."""
    p = np.arange(1.0, 9) / 36
    theta, logit = np.linspace(1.5, -1.5, 8), None
    worst = 0.0
    for _ in range(steps):
        q = np.exp(theta) / np.exp(theta).sum()
        if logit is None:
            logit = np.log(p / q)  # D starts at its optimum
        d = 1 / (1 + np.exp(-logit))
        worst = max(worst, cost(p, q) - value(d, p, q))
        logit = logit + 2.0 * (p * (1 - d) - q * d)
        g = np.log1p(-1 / (1 + np.exp(-logit)))
        theta = theta - g_rate * q * (g - q @ g)
    return worst


def test_d_stays_near_its_optimum_while_g_is_slow() -> None:
    gaps = [worst_gap(rate) for rate in (10.0, 1.0, 0.1, 0.01)]
    assert all(b < a / 2 for a, b in itertools.pairwise(gaps))
    assert gaps[-1] < 1e-4
    assert gaps[0] > 0.1


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_both_losses_of_g_rest_where_p_g_is_p_data_and_nowhere_else(loss: str) -> None:
    """With the best D: the gradient along the simplex, by the library's loss on D's logits."""

    def rest(p: np.ndarray, q: np.ndarray) -> float:
        logit = torch.tensor(np.log(p / q))
        of_each = torch.stack([losses.generator_loss(loss)(one[None]) for one in logit]).numpy()
        return float(np.abs(of_each - of_each.mean()).max())

    for p, q in pairs(100):
        assert rest(p, p) < 1e-12
        assert rest(p, q) > 1e-3


def test_g_contracts_where_p_g_is_high_if_z_is_uniform() -> None:
    """p_g(G(z)) = 1 / G'(z) for uniform z; with a normal z, G(z) = z has slope 1 everywhere."""
    z = np.linspace(0.02, 0.98, 25)
    x, h = norm.ppf(z), 1e-5
    slope = (norm.ppf(z + h) - norm.ppf(z - h)) / (2 * h)
    np.testing.assert_allclose(norm.pdf(x), 1 / slope, rtol=1e-3)
    drawn = norm.ppf(Latent(1, low=0.0, high=1.0).minibatch(400_000, torch.Generator().manual_seed(0)).numpy())
    counted = np.histogram(drawn, x)[0] / len(drawn) / np.diff(x)
    np.testing.assert_allclose(counted, np.diff(z) / np.diff(x), rtol=0.05)
    same = Latent(1, "normal").minibatch(100_000, torch.Generator().manual_seed(0))
    near, far = (((same - at).abs() < 0.1).float().mean().item() for at in (0.0, 2.0))
    assert near > 5 * far


# ---------------------------------------------------------------- section 4


def test_equation_4_is_the_maximum_over_all_d() -> None:
    """Found by a numerical optimiser that knows equation 1 only."""
    for p, q in pairs(20, 4):
        found = minimize(lambda t, p=p, q=q: -value(1 / (1 + np.exp(-t)), p, q), np.zeros(4), method="BFGS")
        assert theory.cost(p, q) == pytest.approx(-found.fun, abs=1e-6)
        np.testing.assert_allclose(1 / (1 + np.exp(-found.x)), theory.optimal_discriminator(p, q), atol=1e-3)


def descended(p: np.ndarray, q: np.ndarray, rates: list[float]) -> list[float]:
    """C at each of a number of multiplicative steps of p_g along the gradient of C, with the best D in each."""
    costs = [theory.cost(p, q)]
    for rate in rates:
        q = q * np.exp(-rate * np.log(q / (p + q)))
        q = q / q.sum()
        costs.append(theory.cost(p, q))
    return costs


def test_proposition_2_holds_with_a_rule_for_the_step_and_not_with_any_improvement() -> None:
    for p, q in pairs(20):
        steady = descended(p, q, [0.5] * 200)
        shrinking = descended(p, q, [0.5 * 0.5**i for i in range(40)])
        for costs in (steady, shrinking):
            # Down to where the sum of a few terms rounds.
            assert all(b < a for a, b in itertools.pairwise(costs[:15]) if a > -LOG4 + 1e-12)
        assert steady[-1] == pytest.approx(-LOG4, abs=1e-9)
        assert shrinking[-1] > -LOG4 + 1e-4


def test_u_is_convex_in_p_g_and_so_is_its_supremum() -> None:
    """U is linear for each D; C, the largest of them all, lies below its chords."""
    rng = np.random.default_rng(0)
    for p, q in pairs(100):
        r, s, d = rng.dirichlet(np.ones(len(p))), rng.random(), rng.uniform(0.01, 0.99, len(p))
        mixed = s * q + (1 - s) * r
        chord = s * theory.value(d, p, q) + (1 - s) * theory.value(d, p, r)
        assert theory.value(d, p, mixed) == pytest.approx(chord, abs=1e-12)
        assert theory.cost(p, mixed) < s * theory.cost(p, q) + (1 - s) * theory.cost(p, r)


def test_the_derivative_at_the_best_d_is_a_subderivative_of_c() -> None:
    """C(r) >= C(q) + g (r - q) for every r, with g the derivative of U in p_g at D* of q; with another D it fails."""
    rng = np.random.default_rng(0)
    broken = 0
    for p, q in pairs(100):
        d = theory.optimal_discriminator(p, q)
        worse = np.clip(d + rng.choice([-0.2, 0.2], len(p)), 0.01, 0.99)
        for r in rng.dirichlet(np.ones(len(p)), 20):
            assert cost(p, r) >= cost(p, q) + np.log1p(-d) @ (r - q) - 1e-12
            broken += cost(p, r) < cost(p, q) + np.log1p(-worse) @ (r - q)
    assert broken > 100


def test_a_perceptrons_images_have_no_density_if_z_is_shorter() -> None:
    """The Jacobian of a map from 5 numbers to 30 has a rank of at most 5: p_g is a limited family, on a thin sheet."""
    torch.manual_seed(0)
    generator = nets.PaperGenerator(latent_dim=5, hidden=40, outputs=30).double()
    for z in Latent(5).minibatch(10, torch.Generator().manual_seed(0)).double():
        jacobian = torch.autograd.functional.jacobian(generator, z)
        assert jacobian.shape == (30, 5)
        # Of the 30 directions only 5 move the image; with as many latents as pixels all would be open.
        assert 1 <= torch.linalg.matrix_rank(jacobian @ jacobian.T).item() <= 5


def test_in_parameters_there_are_several_critical_points() -> None:
    """Hidden units in another order are another point with the same p_g. Of two humps the wrong one can be larger."""
    torch.manual_seed(0)
    generator = nets.MLP((2, 8, 1), squeeze=False)
    other, order = copy.deepcopy(generator), torch.arange(8).flip(0)
    with torch.no_grad():
        for before, after in itertools.pairwise(m for m in other.modules() if isinstance(m, nn.Linear)):
            before.weight.copy_(before.weight[order])
            before.bias.copy_(before.bias[order])
            after.weight.copy_(after.weight[:, order])
    assert (flat(generator) - flat(other)).norm() > 0.5
    z = Latent(2).minibatch(50, torch.Generator().manual_seed(0))
    torch.testing.assert_close(generator(z), other(z))

    x = np.linspace(-18, 18, 1801)
    cell = x[1] - x[0]

    def density(theta: float) -> np.ndarray:
        return 0.7 * norm.pdf(x, theta) + 0.3 * norm.pdf(x, -theta)

    thetas = np.linspace(-6, 6, 121)
    curve = np.array([theory.cost(density(3.0), density(theta), cell) for theta in thetas])
    inner = (curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:])
    at, low = thetas[1:-1][inner], curve[1:-1][inner]
    assert len(at) == 2
    assert at[1] == pytest.approx(3, abs=0.06)
    assert low[1] == pytest.approx(-LOG4, abs=1e-3)
    assert at[0] < -2
    assert low[0] > -LOG4 + 0.05


# ---------------------------------------------------------------- section 5


def test_noise_enters_the_papers_generators_at_the_bottom_only() -> None:
    """In training, too, z fixes the image; D has dropout, and its output is another one each time."""
    torch.manual_seed(0)
    generators = [nets.PaperGenerator(hidden=16), nets.PaperGenerator(hidden=16, second="sigmoid")]
    z = Latent(100).minibatch(3, torch.Generator().manual_seed(0))
    for generator in generators:
        assert generator.training
        assert torch.equal(generator(z), generator(z))
    discriminator = nets.MaxoutDiscriminator(units=16)
    with torch.no_grad():
        for p in discriminator.parameters():
            p.mul_(50)
        x = torch.rand(8, 784)
        assert not torch.equal(discriminator(x), discriminator(x))


def test_parzen_windows_fall_short_in_many_dimensions() -> None:
    """Samples of the right distribution, N(0, 1) in each coordinate, and the mean log density that it really has."""
    rng = torch.Generator().manual_seed(0)
    short = []
    for dim in (1, 10, 100):
        samples, valid, test = (torch.randn(n, dim, generator=rng) for n in (1000, 200, 500))
        found = parzen.evaluate(samples, valid, test)
        short.append(norm.logpdf(test.double().numpy()).sum(1).mean() - found.mean)
    assert abs(short[0]) < 0.1
    assert short[1] > 0.3
    assert short[2] > 20


def test_binary_images_have_another_score_than_grey_ones() -> None:
    """Table 1 is of real-valued MNIST: its pixels are not 0 or 1, and numbers of the two kinds do not compare."""
    train, valid, test = digits()[:300], digits("valid")[:100], digits("test")[:200]
    grey = ((test > 0.05) & (test < 0.95)).float().mean().item()
    assert grey > 0.05
    scores = [
        parzen.evaluate(*((x > 0.5).float() if binary else x for x in (train, valid, test))) for binary in (False, True)
    ]
    assert abs(scores[0].mean - scores[1].mean) > 5 * (scores[0].standard_error + scores[1].standard_error)


def test_a_copy_moved_by_two_pixels_passes_for_a_new_image() -> None:
    """Nearest neighbours in pixels expose a clean copy; they do not show that nothing was memorised."""
    train, new = digits()[:2000], digits("test")
    copies = train[:200].view(-1, 28, 28).roll(2, 2).flatten(1)
    own = (copies - train[:200]).norm(dim=1).median()
    nearest_of_new = torch.cdist(new, train).min(1).values.median()
    assert torch.cdist(train[:200], train).min(1).values.max() < 0.1  # a clean copy
    assert own > nearest_of_new


def test_samples_in_a_row_are_uncorrelated_and_a_chains_are_not() -> None:
    torch.manual_seed(0)
    generator = nets.PaperGenerator(latent_dim=10, hidden=32, outputs=20)
    latent, n = Latent(10), 4000

    def next_to_each_other(x: Tensor) -> float:
        x = x.double() - x.double().mean(0)
        return ((x[1:] * x[:-1]).sum() / (x * x).sum()).item()

    assert abs(next_to_each_other(sampling.sample(generator, latent, n))) < 4 / math.sqrt(n)
    rng = torch.Generator().manual_seed(1)
    z = latent.minibatch(n, rng)
    for t in range(1, n):  # one coordinate at a time is drawn afresh: each z has the prior's distribution
        keep = torch.arange(10) != torch.randint(10, (1,), generator=rng)
        z[t] = torch.where(keep, z[t - 1], z[t])
    assert next_to_each_other(sampling.push(generator, z)) > 0.5


# ---------------------------------------------------------------- sections 6 and 7


def test_degenerate_distributions_can_be_represented_and_drawn() -> None:
    """All mass on one point, and all of it on a line in the plane: neither has a density."""
    torch.manual_seed(0)
    point, line = nets.MLP((1, 2)), nets.MLP((1, 2))
    with torch.no_grad():
        point.layers[0].weight.zero_()
    assert sampling.sample(point, Latent(1), 100).std(0).max().item() == 0
    x = sampling.sample(line, Latent(1), 1000).double()
    largest, smallest = torch.linalg.svdvals(x - x.mean(0)).tolist()
    assert largest > 10
    assert smallest < 1e-4


def crossings(width: float, mirrored: bool = False) -> int:
    """How often a Metropolis chain changes between two humps of this width at -1 and 1, in 20,000 steps."""
    rng = np.random.default_rng(0)

    def log_p(x: float) -> float:
        return float(np.logaddexp(*(-((x - centre) ** 2) / (2 * width**2) for centre in (-1, 1))))

    x, count = 1.0, 0
    here = log_p(x)
    for step, u in zip(rng.normal(0, 0.3, 20_000), rng.random(20_000), strict=True):
        proposed = -x if mirrored and u < 0.5 else x + step
        there = log_p(proposed)
        if rng.random() < math.exp(min(there - here, 0)):
            count += (x < 0) != (proposed < 0)
            x, here = proposed, there
    return count


def test_a_chain_of_local_moves_mixes_only_between_blurred_modes() -> None:
    """The sharper the two humps, the fewer the crossings; a move that knows the other hump needs no blur."""
    counts = [crossings(width) for width in (0.8, 0.4, 0.25, 0.1)]
    assert all(b < a / 2 for a, b in itertools.pairwise(counts))
    assert counts[-1] == 0
    assert crossings(0.1, mirrored=True) > 1000


def inferred(generator: Callable[[Tensor], Tensor]) -> Tensor:
    """Errors (root mean square) of both coordinates of z, by a net trained on pairs (G(z), z) of a fixed G."""
    torch.manual_seed(0)
    encoder, rng = nets.MLP((2, 64, 64, 2)), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(encoder.parameters(), 3e-3)
    latent = Latent(2, "normal")
    for _ in range(500):
        z = latent.minibatch(256, rng)
        optimiser.zero_grad()
        (encoder(generator(z)) - z).square().mean().backward()
        optimiser.step()
    z = latent.minibatch(4000, torch.Generator().manual_seed(1))
    with torch.no_grad():
        return (encoder(generator(z)) - z).square().mean(0).sqrt()


def test_an_auxiliary_net_finds_z_where_x_determines_it() -> None:
    bent = inferred(lambda z: torch.stack([z[:, 0], z[:, 1] + z[:, 0] ** 2 / 2], 1))
    assert bent.max().item() < 0.2
    folded = inferred(lambda z: torch.stack([z[:, 0].abs(), z[:, 1]], 1))
    assert folded[0].item() == pytest.approx(1, abs=0.1)  # no better than the mean of the two
    assert folded[1].item() < 0.2
