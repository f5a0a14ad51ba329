"""Every claim of every proof, evaluated in random finite worlds by an evaluator that shares no code with the proofs.

A *world* gives each function of the proofs concrete values: densities on a few points, a random generator table, a
random discriminator. The evaluator below has its own definitions of KL, JSD, V, C(G) and the gradient. It tells the
tampering tests in ``test_proofs.py`` which alterations really are false.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy
from sympy.core.function import AppliedUndef

from ganlib.proofs import ALL
from ganlib.proofs import notation as n

PROOFS = {name: build() for name, build in ALL.items()}
STEPS = [pytest.param(name, step.name, id=f"{name}-{step.name}") for name, p in PROOFS.items() for step in p.steps]


@dataclass
class World:
    """Points and weights for x and z, a callable for each function, a number for each symbol."""

    points: dict[Any, Any]
    weights: dict[Any, Any]
    functions: dict[str, Callable[..., float]]
    symbols: dict[Any, Any]


def finite_world(seed: int, *, disjoint: bool = False) -> World:
    """Four points x, six noise values z, random tables; with `disjoint`, each density lives on its own two points."""
    rng = np.random.default_rng(seed)
    table = rng.permutation([0, 1, 2, 3, *rng.integers(0, 4, 2)])
    p_z = rng.dirichlet(np.ones(6))
    p_g = np.bincount(table, weights=p_z, minlength=4)
    p_data = rng.dirichlet(np.ones(4)) * 0.9 + 0.025
    if disjoint:
        p_data, p_g = np.array([0.3, 0.7, 0, 0]), np.array([0, 0, 0.6, 0.4])
    d, logits, slopes = rng.uniform(0.05, 0.95, 4), rng.normal(size=4), rng.normal(size=4)

    def p_theta(k: int, parameter: float) -> float:
        weights = np.exp(logits + parameter * slopes)
        return float(weights[k] / weights.sum())

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
    symbols |= {n.p_point: rng.uniform(0.1, 2), n.q_point: rng.uniform(0.1, 2), n.x: int(rng.integers(4))}
    symbols[n.y_star] = argmax(lambda y: a * math.log(y) + b * math.log(1 - y))
    ones = {n.x: np.ones(4), n.z: np.ones(6)}
    return World({n.x: range(4), n.z: range(6)}, ones, functions, symbols)


def gaussian_world(seed: int) -> World:
    """Data N(0, 1), generator N(theta, 1), integrals as sums on a fine grid."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(-9, 11, 161)

    def normal(x: float, mean: float = 0.0) -> float:
        return math.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)

    symbols = {n.x: rng.uniform(-2, 2), n.theta: rng.uniform(0.5, 2), n.theta_0: rng.uniform(0.5, 2)}
    weights = {n.x: np.full(161, grid[1] - grid[0])}
    return World({n.x: grid.tolist()}, weights, {"p_data": normal, "p_theta": normal}, symbols)


def argmax(function: Callable[[float], float], low: float = 1e-9, high: float = 1 - 1e-9) -> float:
    """The maximiser of a unimodal function, by ternary search."""
    while high - low > 1e-10:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if function(left) < function(right) else (low, right)
    return (low + high) / 2


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
            return math.log(at(args[0], env))
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
            return total(args[0].args[0], lambda inner: at(args[0], inner) * at(args[1], inner))
        case n.Mixture():
            return (at(args[0], env) + at(args[1], env)) / 2
        case n.OptimalD():
            return 1 / (1 + at(args[1], env) / at(args[0], env))
        case n.KL():
            return divergence(*args)
        case n.JSD():
            return (divergence(args[0], n.Mixture(*args)) + divergence(args[1], n.Mixture(*args))) / 2
        case n.Value():
            real = total(n.x, lambda inner: at(n.p_data(n.x), inner) * math.log(at(args[0], inner)))
            fake = total(n.z, lambda inner: at(n.p_z(n.z), inner) * math.log(1 - at(args[1], inner)))
            return real + fake
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


def true_in_world(claim: Any, name: str, seed: int) -> bool:
    """Whether `claim` is true in a random world that meets the assumptions of the step called `name`."""
    world = gaussian_world(seed) if name.startswith("gaussian") else finite_world(seed, disjoint=name == "disjoint")
    return holds(claim.func, value(claim.lhs, world, world.symbols), value(claim.rhs, world, world.symbols))


@pytest.mark.parametrize(("proof", "name"), STEPS)
def test_every_claim_holds_in_random_worlds(proof: str, name: str) -> None:
    for seed in range(3):
        assert true_in_world(PROOFS[proof].step(name).claim, name, seed), f"seed {seed}"


def test_the_evaluator_can_say_no() -> None:
    wrong = sympy.Eq(n.KL(n.p_data(n.x), n.p_g(n.x)), n.KL(n.p_g(n.x), n.p_data(n.x)), evaluate=False)
    assert not any(true_in_world(wrong, "", seed) for seed in range(3))
