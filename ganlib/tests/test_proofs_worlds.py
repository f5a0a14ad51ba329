"""Every claim of every proof, evaluated in random finite worlds by an evaluator that shares no code with the proofs.

A *world* gives each function of the proofs concrete values: densities on a few points, a random generator table, a
random discriminator. The evaluator below has its own definitions of KL, JSD, V, C(G) and the gradient, and its own
reading of every hypothesis. It tells the tampering tests and the search for false steps what really is false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import sympy
from sympy.core.function import AppliedUndef

from ganlib.proofs import ALL
from ganlib.proofs import hypotheses as h
from ganlib.proofs import notation as n
from ganlib.proofs import worlds as net
from ganlib.proofs.algebra import Failed

PROOFS = {name: build() for name, build in ALL.items()}
STEPS = [pytest.param(name, step.name, id=f"{name}-{step.name}") for name, p in PROOFS.items() for step in p.steps]
NOTHING = 1e-13  # a density where it vanishes


@dataclass(eq=False)
class World:
    """Points and weights for x and z, a callable for each function, a number for each symbol."""

    points: dict[Any, Any]
    weights: dict[Any, Any]
    functions: dict[str, Callable[..., float]]
    symbols: dict[Any, Any]
    gaussian: bool = False


def finite_world(seed: int, kind: str = "") -> World:
    """Four points x, six noise values z, random tables; `kind` says what is special about them."""
    rng = np.random.default_rng(seed)
    table: Any = rng.permutation([0, 1, 2, 3, *rng.integers(0, 4, 2)])
    p_z = rng.dirichlet(np.ones(6))
    p_data: Any = rng.dirichlet(np.ones(4)) * 0.9 + 0.025
    if kind == "disjoint":
        table, p_data = rng.permutation([2, 2, 2, 3, 3, 3]), np.array([0.3, 0.7, 0, 0])
    if kind == "missed":
        table, p_data = rng.permutation([1, 1, 2, 2, 3, 3]), np.array([0.2, 0.5, 0.3, 0])
    p_g = np.bincount(table, weights=p_z, minlength=4)
    if kind == "equal":
        p_data = p_g.copy()
    if kind == "elsewhere":
        p_g = rng.dirichlet(np.ones(4))
    d, logits, slopes = rng.uniform(0.05, 0.95, 4), rng.normal(size=4), rng.normal(size=4)
    if kind == "optimal":
        d = p_data / (p_data + p_g)
    mass = 1.7 if kind == "heavy" else 1.0
    p_data, p_g, p_z = (np.maximum(mass * density, NOTHING) for density in (p_data, p_g, p_z))

    def p_theta(k: int, parameter: float) -> float:
        weights = np.exp(logits + parameter * slopes)
        return float(weights[k] / (2 if kind == "heavy" else weights.sum()))

    functions: dict[str, Callable[..., float]] = {
        "p_data": lambda k: float(p_data[k]),
        "p_g": lambda k: float(p_g[k]),
        "p_z": lambda k: float(p_z[k]),
        "D": lambda k: float(d[k]),
        "G": lambda k: int(table[k]),
        "p_theta": p_theta,
    }
    a, b = rng.uniform(0.2, 2, 2)
    symbols = {n.a: a, n.b: b, n.y: rng.uniform(0.2, 0.8), n.t: rng.uniform(0.2, 3), n.theta_0: rng.normal()}
    symbols[n.theta] = rng.normal()
    symbols |= {n.p_point: rng.uniform(0.1, 2), n.q_point: rng.uniform(0.1, 2), n.x: int(rng.integers(4))}
    if kind == "equal":
        symbols |= {n.y: a / (a + b), n.t: 1.0}
    ones = {n.x: np.ones(4), n.z: np.ones(6)}
    return World({n.x: range(4), n.z: range(6)}, ones, functions, symbols)


def gaussian_world(seed: int) -> World:
    """Data N(0, 1), generator N(theta, 1), integrals as sums on a fine grid."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(-9, 11, 161)

    def normal(x: float, mean: float = 0.0) -> float:
        return math.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)

    symbols = {**finite_world(seed).symbols, n.x: rng.uniform(-2, 2), n.theta: rng.uniform(0.5, 2)}
    symbols[n.theta_0] = rng.uniform(0.5, 2)
    functions: dict[str, Any] = {"p_data": normal, "p_theta": normal, "p_g": lambda x: normal(x, 0.7), "p_z": normal}
    functions |= {"G": lambda z: z + 0.7, "D": lambda x: 1 / (1 + math.exp(x - 0.2))}
    weights = {n.x: np.full(161, grid[1] - grid[0]), n.z: np.full(161, grid[1] - grid[0])}
    return World({n.x: grid.tolist(), n.z: grid.tolist()}, weights, functions, symbols, gaussian=True)


KINDS = ("", "", "equal", "disjoint", "missed", "elsewhere", "optimal", "heavy")


@cache
def every_world() -> tuple[World, ...]:
    """Three worlds of each kind, and two Gaussian ones."""
    finite = [finite_world(10 * seed + i, kind) for seed in range(3) for i, kind in enumerate(KINDS)]
    return (*finite, *(gaussian_world(seed) for seed in range(2)))


def admits(world: World, hypothesis: h.Hypothesis) -> bool:
    """Whether `world` meets a hypothesis, read off its tables."""

    def at(expr: Any, point: Any = None) -> Any:
        return value(expr, world, world.symbols if point is None else {**world.symbols, n.x: point})

    points = world.points[n.x]
    match hypothesis:
        case h.Normalised(density):
            variable = n.z if density.has(n.z) else n.x
            pairs = list(zip(world.points[variable], world.weights[variable], strict=True))
            for s in (0.4, world.symbols[n.theta_0]):
                mass = sum(w * value(density, world, {n.theta: s, n.theta_0: s, variable: k}) for k, w in pairs)
                if abs(mass - 1) > 1e-6:
                    return False
            return True
        case h.Smooth():
            return True
        case h.Apart(left, right):
            return bool(abs(at(left) - at(right)) > 1e-2)
        case h.Differ(left, right):
            heavy = [k for k in points if at(n.p_data(n.x), k) + at(n.p_g(n.x), k) > 1e-2]
            return any(abs(at(left, k) - at(right, k)) > 1e-2 for k in heavy)
        case h.Positive(density):
            return bool(at(density) > 1e-3)
        case h.Overlap(p, q):
            return any(at(p, k) > 1e-3 and at(q, k) > 1e-3 for k in points)
        case h.Disjoint(p, q):
            return all(at(p, k) < 1e-9 or at(q, k) < 1e-9 for k in points)
        case h.Pushforward(noise, generated):
            masses = zip(world.points[n.z], world.weights[n.z], strict=True)
            moved = [(world.functions["G"](k), w * value(noise, world, {n.z: k})) for k, w in masses]
            there = [(k, w * at(generated, k)) for k, w in zip(points, world.weights[n.x], strict=True)]
            tests = (math.cos, math.sin, lambda u: math.cos(2 * u), lambda u: math.sin(2 * u))
            return all(abs(sum(m * f(k) for k, m in moved) - sum(m * f(k) for k, m in there)) < 1e-6 for f in tests)
        case h.UnitNormals():
            return world.gaussian
    raise TypeError(f"no reading of {hypothesis!r}")


def argmax(function: Callable[[float], float], low: float = 1e-9, high: float = 1 - 1e-9) -> float:
    """The maximiser of a unimodal function, by ternary search."""
    while high - low > 1e-10:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if function(left) < function(right) else (low, right)
    return (low + high) / 2


def log_of(argument: float) -> float:
    """The logarithm; 1 - p / (p + q) is rounded to 0 where q vanishes."""
    return math.log(argument if argument < -1e-12 else max(argument, 1e-300))


def value(expr: Any, world: World, env: dict[Any, Any]) -> Any:
    """`expr` as a number in `world`, with `env` giving the symbols."""

    def total(variable: Any, term: Callable[[dict[Any, Any]], Any]) -> Any:
        pairs = zip(world.points[variable], world.weights[variable], strict=True)
        return sum(weight * term({**env, variable: point}) for point, weight in pairs)

    def at(node: Any, inner: dict[Any, Any]) -> Any:
        return value(node, world, inner)

    def divergence(p: Any, q: Any) -> Any:
        def term(inner: dict[Any, Any]) -> Any:
            top, bottom = at(p, inner), at(q, inner)
            return top * math.log(top / bottom) if top > 0 else 0.0

        return total(n.x, term)

    def slope(node: Any, symbol: Any, where: float) -> Any:
        def f(offset: float) -> Any:
            return at(node, {**env, symbol: where + offset})

        h = 1e-3
        return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)

    args = expr.args
    match expr:
        case sympy.Symbol():
            return env[expr]
        case sympy.core.numbers.Infinity() | sympy.core.numbers.NegativeInfinity() | sympy.Number():
            return float(expr)
        case sympy.Add():
            return sum(at(term, env) for term in args)
        case sympy.Mul():
            return math.prod(at(factor, env) for factor in args)
        case sympy.Pow():
            return at(args[0], env) ** at(args[1], env)
        case sympy.exp():
            return math.exp(at(args[0], env))
        case sympy.log():
            return log_of(at(args[0], env))
        case sympy.Integral():
            return total(expr.variables[0], lambda inner: at(expr.function, inner))
        case sympy.Derivative():
            inner = args[0] if expr.derivative_count == 1 else expr.func(args[0], expr.variables[0])
            return slope(inner, expr.variables[0], env[expr.variables[0]])
        case sympy.Subs():
            return at(expr.expr, {**env, **{s: at(v, env) for s, v in zip(expr.variables, expr.point, strict=True)}})
        case sympy.Limit():
            sign = 1 if str(args[3]) == "+" else -1
            near, nearer = (at(args[0], {**env, args[1]: float(args[2]) + sign * h}) for h in (1e-5, 1e-10))
            return math.copysign(math.inf, nearer) if abs(nearer) > 1.5 * abs(near) and abs(nearer) > 1 else nearer
        case n.Expect():
            return total(n.z if args[0].has(n.z) else n.x, lambda inner: at(args[0], inner) * at(args[1], inner))
        case n.Mixture():
            return (at(args[0], env) + at(args[1], env)) / 2
        case n.OptimalD():
            return 1 / (1 + at(args[1], env) / at(args[0], env))
        case n.KL():
            return divergence(*args)
        case n.JSD():
            return (divergence(args[0], n.Mixture(*args)) + divergence(args[1], n.Mixture(*args))) / 2
        case n.Value():
            real = total(n.x, lambda inner: at(args[0], inner) * math.log(at(args[2], inner)))
            fake = total(n.z, lambda inner: at(args[1], inner) * log_of(1 - at(args[3], inner)))
            return real + fake
        case n.StationaryPoint():
            return argmax(lambda y: at(args[0], {**env, args[1]: y}))
        case n.Criterion():
            # C(G) = max_D V: at every point, the best D is found by search, not by its formula.
            def best(inner: dict[Any, Any]) -> Any:
                p, q = at(args[0], inner), at(args[1], inner)
                top = argmax(lambda y: p * math.log(y) + q * math.log(1 - y))
                return p * math.log(top) + q * math.log(1 - top)

            return total(n.x, best)
        case n.Gradient():
            return slope(args[0], n.theta, env[n.theta_0])
        case AppliedUndef():
            return world.functions[expr.func.__name__](*(at(arg, env) for arg in args))
    raise TypeError(f"no value for {expr!r}")


def holds(relation: Any, left: float, right: float) -> bool:
    """Whether a relation between two numbers is true, up to the evaluator's error. Strict ones need a margin."""
    if math.isinf(left) or math.isinf(right):
        close, gap = left == right, 0.0
    else:
        gap = 1e-5 * (1 + abs(left) + abs(right))
        close = abs(left - right) <= gap
    return {
        sympy.Eq: close,
        sympy.Ne: not close,
        sympy.Le: left <= right + gap,
        sympy.Ge: left >= right - gap,
        sympy.Lt: left < right and not close,
        sympy.Gt: left > right and not close,
    }[relation]


def true_in(claim: Any, world: World) -> bool:
    """Whether `claim` is true in `world`."""
    return holds(claim.func, value(claim.lhs, world, world.symbols), value(claim.rhs, world, world.symbols))


def false_somewhere(claim: Any, assumes: Iterable[h.Hypothesis]) -> bool:
    """Whether `claim` is false in a world that meets the hypotheses."""
    return any(not true_in(claim, w) for w in every_world() if all(admits(w, one) for one in assumes))


@pytest.mark.parametrize(("proof", "name"), STEPS)
def test_every_claim_holds_in_random_worlds(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    meeting = [world for world in every_world() if all(admits(world, one) for one in step.assumes)]
    assert len(meeting) >= 2
    for world in meeting:
        assert true_in(step.claim, world), every_world().index(world)


def test_the_evaluator_can_say_no() -> None:
    wrong = sympy.Eq(n.KL(n.p_data(n.x), n.p_g(n.x)), n.KL(n.p_g(n.x), n.p_data(n.x)), evaluate=False)
    assert false_somewhere(wrong, ())
    assert not any(true_in(wrong, finite_world(seed)) for seed in range(3))


# ---------------------------------------------------------------- the package's own worlds


@pytest.mark.parametrize(("proof", "name"), STEPS)
def test_the_net_agrees_with_this_evaluator(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    assert net.require_in_worlds(step.claim, step.assumed) >= (1 if name == "disjoint" else 2)
    off = step.claim.func(step.claim.lhs, step.claim.rhs + (-1 if "<" in str(step.claim.rel_op) else 1))
    if false_somewhere(off, step.assumes):
        with pytest.raises(Failed, match="it is false in the world of"):
            net.require_in_worlds(off, step.assumed)


# Hypotheses that the route of a proof needs although the claim holds without them.
NOT_NEEDED = {
    (
        "jsd_bounds",
        "lower-bound",
    ): "also for any masses of p and q: in the sum of the divergences -p + m - q + m is 0",
    ("jsd_bounds", "positive-otherwise"): "the same",
    ("frozen_discriminator", "gaussian-nonsaturating"): "unit normals are normalised",
}


def always_met(proof: str, step: str, one: h.Hypothesis) -> bool:
    # A finite sum can always be differentiated.
    return isinstance(one, h.Smooth) or ((proof, step) in NOT_NEEDED and isinstance(one, h.Normalised))


HYPOTHESES = [
    pytest.param(name, step.name, i, id=f"{name}-{step.name}-{type(one).__name__}")
    for name, proof in PROOFS.items()
    for step in proof.steps
    for i, one in enumerate(step.assumes)
    if not always_met(name, step.name, one)
]


@pytest.mark.parametrize(("proof", "name", "which"), HYPOTHESES)
def test_without_its_hypothesis_a_claim_is_false_in_the_net(proof: str, name: str, which: int) -> None:
    step = PROOFS[proof].step(name)
    others = frozenset(one for i, one in enumerate(step.assumes) if i != which)
    with pytest.raises(Failed, match="it is false in the world of"):
        net.require_in_worlds(step.claim, others)


def test_hypotheses_that_exclude_each_other_prove_nothing() -> None:
    p, q = n.p_data(n.x), n.p_g(n.x)
    claim = sympy.Gt(n.JSD(p, q), 7, evaluate=False)
    with pytest.raises(Failed, match="in no world do its hypotheses hold together"):
        net.require_in_worlds(claim, frozenset({h.Overlap(p, q), h.Disjoint(p, q)}))


def test_the_net_knows_no_other_symbols() -> None:
    for strange in (sympy.Symbol("k"), sympy.Function("h")(n.x), sympy.nan):
        with pytest.raises(Failed, match="nothing says what"):
            net.require_in_worlds(sympy.Eq(n.t, strange, evaluate=False))
