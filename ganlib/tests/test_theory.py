"""Oracles: SciPy for KL and JSD, closed forms for Gaussians, and the theorems as properties over random inputs."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import entropy, norm

from ganlib import theory
from ganlib.theory import LOG2, LOG4

# A busy machine is no fault of a theorem.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def distributions(draw, zeros=True):
    """Two distributions over the same 2 to 12 points, often with zeros."""
    n = draw(st.integers(2, 12))
    smallest = 0.0 if zeros else 1e-3
    weights = st.lists(st.one_of(st.just(smallest), st.floats(1e-3, 1.0)), min_size=n, max_size=n)
    pair = [draw(weights.filter(lambda w: sum(w) > 0)) for _ in range(2)]
    return [theory.normalise(w) for w in pair]


@patient
@given(distributions())
def test_kl_and_jsd_agree_with_scipy(pair):
    p, q = pair
    assert theory.kl(p, q) == pytest.approx(entropy(p, q), abs=1e-9)
    m = (p + q) / 2  # scipy's own jensenshannon takes the root of a rounding error below zero, and gives nan
    assert theory.jsd(p, q) == pytest.approx((entropy(p, m) + entropy(q, m)) / 2, abs=1e-9)


@patient
@given(distributions())
def test_divergences_obey_their_bounds(pair):
    p, q = pair
    assert theory.kl(p, q) >= 0
    assert 0 <= theory.jsd(p, q) <= LOG2
    assert theory.jsd(p, q) == pytest.approx(theory.jsd(q, p), abs=1e-12)
    assert theory.jsd(p, p) == theory.kl(p, p) == 0


@patient
@given(distributions())
def test_cost_is_minus_log_4_plus_twice_the_jsd(pair):
    """Theorem 1, with C(G) computed from its definition."""
    p, q = pair
    assert theory.cost(p, q) == pytest.approx(-LOG4 + 2 * theory.jsd(p, q), abs=1e-9)


@patient
@given(distributions(), st.lists(st.floats(0.01, 0.99), min_size=12, max_size=12))
def test_optimal_discriminator_beats_every_other(pair, d):
    """Proposition 1 as a property: no other D has a larger value."""
    p, q = pair
    assert theory.value(d[: len(p)], p, q) <= theory.cost(p, q) + 1e-12


@pytest.mark.parametrize("m", [3.0, 4.0, 8.0, 30.0])
def test_cost_is_finite_where_the_optimal_discriminator_rounds_to_one(m):
    x = np.linspace(-12, m + 12, 8001)
    p, q, cell = norm.pdf(x), norm.pdf(x, m), x[1] - x[0]
    assert (theory.optimal_discriminator(p, q) == 1).any()
    assert theory.cost(p, q, cell) == pytest.approx(-LOG4 + 2 * theory.jsd(p, q, cell), abs=1e-9)


def test_optimal_discriminator_is_open_off_the_supports():
    p, q = [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]
    d = theory.optimal_discriminator(p, q)
    np.testing.assert_allclose(d[:2], [1.0, 1 / 3])
    assert math.isnan(d[2])
    assert theory.optimal_discriminator(p, q, off_support=0.5)[2] == 0.5
    values = {theory.value([1.0, 1 / 3, free], p, q) for free in (0.0, 0.3, 1.0, math.nan)}
    assert len(values) == 1


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.7), (-3.0, 2.0)])
def test_gaussian_kl_on_a_grid_is_the_closed_form(mean, std):
    x = np.linspace(-25, 25, 50001)
    cell = x[1] - x[0]
    p, q = norm.pdf(x), norm.pdf(x, mean, std)
    closed = math.log(std) + (1 + mean**2) / (2 * std**2) - 0.5
    assert theory.kl(p, q, cell) == pytest.approx(closed, abs=1e-9)


def test_jsd_of_densities_agrees_with_quadrature():
    x = np.linspace(-12, 14, 26001)
    p, q = norm.pdf(x), norm.pdf(x, 2, 1)

    def integrand(t):
        a, b = norm.pdf(t), norm.pdf(t, 2, 1)
        return (a * math.log(2 * a / (a + b)) + b * math.log(2 * b / (a + b))) / 2

    assert theory.jsd(p, q, x[1] - x[0]) == pytest.approx(quad(integrand, -12, 14)[0], abs=1e-9)


def test_densities_in_two_dimensions():
    axis = np.linspace(-8, 8, 401)
    cell = (axis[1] - axis[0]) ** 2
    p = np.outer(norm.pdf(axis), norm.pdf(axis))
    q = np.outer(norm.pdf(axis, 1), norm.pdf(axis))
    assert theory.kl(p, q, cell) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.parametrize(("kept", "jsd"), [(8, 0.0), (7, 0.0454), (4, 0.2158), (1, 0.4969)])
def test_uniform_over_eight_against_some_of_them(kept, jsd):
    p, q = np.full(8, 1 / 8), np.array([1 / kept] * kept + [0.0] * (8 - kept))
    assert theory.jsd(p, q) == pytest.approx(jsd, abs=5e-5)
    assert math.isinf(theory.kl(p, q)) == (kept < 8)


def test_disjoint_supports():
    p, q = [0.5, 0.5, 0, 0], [0, 0, 0.1, 0.9]
    assert theory.kl(p, q) == theory.kl(q, p) == math.inf
    assert theory.jsd(p, q) == pytest.approx(LOG2, abs=1e-15)
    assert theory.cost(p, q) == 0
    assert theory.value([0, 0, 1, 1], p, q) == -math.inf  # a discriminator that is always wrong


@pytest.mark.parametrize(
    ("m", "minimax", "non_saturating"),
    [(1, 0.39797, 0.60203), (2, 0.44960, 1.55040), (4, 0.13720, 3.86281), (8, 0.000393, 7.99961)],
)
def test_generator_gradients_of_shifted_gaussians(m, minimax, non_saturating):
    x = np.linspace(-14, 22, 36001)
    p, q = norm.pdf(x), norm.pdf(x, m)
    assert theory.generator_gradient(p, q, x, "minimax") == pytest.approx(minimax, abs=1e-5)
    assert theory.generator_gradient(p, q, x, "non-saturating") == pytest.approx(non_saturating, abs=1e-5)


@pytest.mark.parametrize(("loss", "name"), [(lambda d: d, "minimax"), (lambda d: 1 - d, "non-saturating")])
def test_generator_gradients_are_exact_at_the_ends_of_a_coarse_grid_too(loss, name):
    """Of unequal variances, where the logit is quadratic: a first-order difference at the ends would be off by 3 %."""
    x, (m, s) = [-1 + 0.25 * i for i in range(9)], (0.5, 0.6)
    p = [math.exp(-(t**2) / 2) for t in x]
    q = [math.exp(-((t - m) ** 2) / (2 * s**2)) for t in x]
    p, q = ([each / (sum(w) * 0.25) for each in w] for w in (p, q))
    slope = [-t + (t - m) / s**2 for t in x]  # of log p - log q, exactly
    expected = -sum(b * loss(a / (a + b)) * c for a, b, c in zip(p, q, slope, strict=True)) * 0.25
    assert theory.generator_gradient(p, q, x, name) == pytest.approx(expected, rel=1e-9)


def test_minimax_gradient_is_the_gradient_of_the_cost():
    """With D re-optimised or frozen at D*, the minimax gradient is the same: dC/dm (envelope theorem)."""
    x, h = np.linspace(-14, 16, 30001), 1e-4
    cell = x[1] - x[0]
    slope = sum(s * theory.cost(norm.pdf(x), norm.pdf(x, 1.3 + s * h), cell) for s in (1, -1)) / (2 * h)
    assert theory.generator_gradient(norm.pdf(x), norm.pdf(x, 1.3), x) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: theory.kl([0.5, 0.6], [0.5, 0.5]), "p sums to 1.1"),
        (lambda: theory.kl([0.5, 0.5], [1.5, -0.5]), "q holds -0.5"),
        (lambda: theory.kl([0.5, np.nan], [0.5, 0.5]), "p holds nan"),
        (lambda: theory.jsd([1.0], [0.5, 0.5]), r"p is \(1,\), q \(2,\)"),
        (lambda: theory.jsd([], []), "p is empty"),
        (lambda: theory.kl([1.0], [1.0], cell=0), "cell is 0"),
        (lambda: theory.value([0.5, 3.0], [0.5, 0.5], [0.5, 0.5]), "d holds 3.0"),
        (lambda: theory.value([0.5, np.nan], [0.5, 0.5], [0.5, 0.5]), "d holds nan"),
        (lambda: theory.value([0.5], [0.5, 0.5], [0.5, 0.5]), "same grid"),
        (lambda: theory.normalise([0.0, 0.0]), "zero everywhere"),
        (lambda: theory.generator_gradient([1.0], [1.0], [0.0]), "uniform increasing"),
        (lambda: theory.generator_gradient([0.5] * 4, [0.5] * 4, [0, 0.5, 1, 2]), "uniform increasing"),
        (lambda: theory.generator_gradient([0.5] * 4, [0.5] * 4, [2, 1.5, 1, 0.5]), "uniform increasing"),
        (lambda: theory.generator_gradient([1, 0, 0], [0.5, 0.25, 0.25], [0, 1, 2]), "narrow the grid"),
        (lambda: theory.generator_gradient([1.0], [1.0], [0.0], "hinge"), "'hinge'"),
        (lambda: theory.optimal_discriminator([-1.0], [1.0]), "p_data holds -1.0"),
    ],
)
def test_bad_input_is_refused_by_name(call, says):
    with pytest.raises(ValueError, match=says):
        call()
