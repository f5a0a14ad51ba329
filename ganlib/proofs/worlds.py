"""A net under the rules: every claim is also computed in worlds where each function and symbol has a value.

A *world* is a few points with random densities, a random generator and discriminator; two more have Gaussians on a
fine grid. Between them they break every hypothesis: equal and disjoint densities, densities that do not integrate to 1,
an optimal discriminator. A step must hold in each world that meets its hypotheses, whatever its rule says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from sympy import (
    Add,
    Derivative,
    Eq,
    Ge,
    Gt,
    Integral,
    Le,
    Limit,
    Lt,
    Mul,
    Number,
    Pow,
    Subs,
    Symbol,
    exp,
    log,
    nan,
    oo,
    together,
)
from sympy.core.function import AppliedUndef

from ganlib.proofs import hypotheses as h
from ganlib.proofs.algebra import Failed
from ganlib.proofs.notation import (
    Defined,
    Gradient,
    OptimalD,
    StationaryPoint,
    a,
    b,
    p_point,
    q_point,
    t,
    theta,
    theta_0,
    to_latex,
    x,
    y,
    z,
)

TOLERANCE = 1e-6  # above what the numerical derivatives and limits lose, below what a false claim is off by
CLEARLY = 0.05  # how far apart two values are where they are said to differ
NOTHING = 1e-200  # a density that vanishes: what contains it takes its limit, as 0 log 0 = 0
RELATIONS: dict[Any, Callable[[Any, Any, Any], Any]] = {
    Eq: lambda left, right, slack: abs(left - right) <= slack,
    Le: lambda left, right, slack: left <= right + slack,
    Lt: lambda left, right, slack: left < right - slack,
    Ge: lambda left, right, slack: left >= right - slack,
    Gt: lambda left, right, slack: left > right + slack,
}

Values = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class World:
    """Concrete values: points with weights for x and z, arrays for the functions, arrays (n, 1) for the symbols."""

    name: str
    points: dict[Any, Values]
    weights: dict[Any, float]
    functions: dict[str, Callable[..., Values]]
    symbols: dict[Any, Values | float]
    normals: bool = False
    _met: dict[Any, Any] = field(default_factory=dict, repr=False)

    def value(self, expr: Any, env: dict[Any, Any] | None = None) -> Any:
        """`expr` as an array: symbols along the first axis, points along the last; `Failed` if it has no value."""
        env = {**self.symbols, **self.points} if env is None else env
        args = expr.args

        def at(node: Any) -> Any:
            return self.value(node, env)

        def slope(node: Any, symbol: Any, where: Any) -> Any:
            step = 1e-3
            far, near, nearer, last = (self.value(node, {**env, symbol: where + k * step}) for k in (-2, -1, 1, 2))
            return (8 * (nearer - near) - (last - far)) / (12 * step)

        match expr:
            case Symbol():
                if expr not in env:
                    raise Failed(f"nothing says what {to_latex(expr)} is")
                return env[expr]
            case Add():
                return sum(map(at, args))
            case Mul():
                return math.prod(map(at, args))
            case Pow():
                return np.power(np.asarray(at(args[0]), float), at(args[1]))
            case exp():
                return np.exp(at(args[0]))
            case log():
                return np.log(at(_tidy(args[0])))
            case Integral():
                variable = expr.variables[0]
                terms = self.value(expr.function, {**env, variable: self.points[variable]})
                shape = np.broadcast_shapes(np.shape(terms), self.points[variable].shape)
                return self.weights[variable] * np.broadcast_to(terms, shape).sum(-1, keepdims=True)
            case Derivative():
                variable = expr.variables[0]
                inner = args[0] if expr.derivative_count == 1 else Derivative(args[0], *expr.variables[1:])
                return slope(inner, variable, env[variable])
            case Subs():
                return self.value(expr.expr, {**env, **dict(zip(expr.variables, map(at, expr.point), strict=True))})
            case Limit():
                side = 1 if str(args[3]) == "+" else -1
                far, near = (self.value(args[0], {**env, args[1]: at(args[2]) + side * d}) for d in (1e-5, 1e-10))
                return np.where((abs(near) > 1.5 * abs(far)) & (abs(near) > 1), np.sign(near) * np.inf, near)
            case StationaryPoint():
                return self._stationary(args[0], args[1], env)
            case Gradient():
                return slope(args[0], theta, env[theta_0])
            case Defined():
                return at(expr.unfold())
            case AppliedUndef() if expr.func.__name__ in self.functions:
                return self.functions[expr.func.__name__](*map(at, args))
            case _ if expr == nan or not (isinstance(expr, Number) or expr.is_number):
                raise Failed(f"nothing says what {to_latex(expr)} is")
        return float(expr)

    def _stationary(self, expr: Any, variable: Any, env: dict[Any, Any]) -> Any:
        """Where the derivative changes its sign, by bisection (over (0, 1))."""
        low, high = np.full_like(self.symbols[a], 0.01), np.full_like(self.symbols[a], 0.99)
        falling = Derivative(expr, variable)
        for _ in range(50):
            middle = (low + high) / 2
            up = self.value(falling, {**env, variable: middle}) > 0
            low, high = np.where(up, middle, low), np.where(up, high, middle)
        return (low + high) / 2

    def meets(self, hypothesis: h.Hypothesis) -> Any:
        """Where the hypothesis holds: a truth value, or an array of them for a hypothesis about a point."""
        if hypothesis not in self._met:
            self._met[hypothesis] = self._meets(hypothesis)
        return self._met[hypothesis]

    def _meets(self, hypothesis: h.Hypothesis) -> Any:
        match hypothesis:
            case h.Normalised(density):
                variable = z if density.has(z) else x
                masses = [self.value(Integral(density, (variable, -oo, oo)).subs(theta, s)) for s in (theta_0, 0, 1)]
                return max(abs(mass - 1).max() for mass in masses) < TOLERANCE
            case h.Smooth():
                return True  # sums of smooth functions
            case h.Apart(left, right):
                return abs(self.value(left) - self.value(right)) > CLEARLY
            case h.Differ(left, right):
                mass = sum(self.value(one.density) for one in h.positive(left - right))  # type: ignore[attr-defined]
                return bool((mass * abs(self.value(left) - self.value(right)) > CLEARLY**2).any())
            case h.Positive(density):
                return self.value(density) > CLEARLY**2
            case h.Overlap(p, q):
                return bool(((self.value(p) > CLEARLY**2) & (self.value(q) > CLEARLY**2)).any())
            case h.Disjoint(p, q):
                return not ((self.value(p) > NOTHING) & (self.value(q) > NOTHING)).any()
            case h.Pushforward(noise, generated):
                return self._pushes_forward(noise, generated)
            case h.UnitNormals():
                return self.normals
        raise TypeError(f"no world knows the hypothesis {hypothesis!r}")

    def _pushes_forward(self, noise: Any, generated: Any) -> bool:
        """Whether the first moments of G(z) are those of the density (on K points, K moments settle it)."""
        image = self.functions["G"](self.points[z])
        mass, density = self.weights[z] * self.value(noise), self.weights[x] * self.value(generated)
        moments = range(min(self.points[x].size, 6))
        return all(abs((mass * image**k).sum() - (density * self.points[x] ** k).sum()) < 1e-6 * 5**k for k in moments)


@lru_cache(maxsize=1024)
def _tidy(argument: Any) -> Any:
    """1 - p / (p + q) cancels where q is small, q / (p + q) does not."""
    return together(argument.replace(OptimalD, lambda p, q: p / (p + q)))


_COUNT = 4  # points of a finite world
_NOISE = 6
# What each kind of world breaks: which points G reaches, and where the data are.
_FEW, _FAR = [2, 3, 2, 2, 3, 3], [0.5, 0.44, 0.04, 0.02]
_TABLES = {"disjoint": _FEW, "far": _FEW, "moved": _FEW, "swapped": _FEW, "missed": [1, 2, 3, 3, 2, 1]}
_DATA = {"disjoint": [0.3, 0.7, 0, 0], "far": _FAR, "moved": _FAR, "swapped": _FAR, "missed": [0.2, 0.5, 0.3, 0]}


def finite_world(name: str, seed: int, kind: str = "", masses: tuple[float, float] = (1, 1)) -> World:
    """Four points x and six noise values z, with random tables.

    `kind` is one of "", "disjoint", "far" (hardly any overlap), "missed" (each density leaves a point out), "equal",
    "optimal" (D is D*), "moved" and "swapped" (p_g is not the density of G(z)); `masses` are what the data's and the
    generator's density sum to.
    """
    rng = np.random.default_rng(seed)
    table = np.array(_TABLES.get(kind, rng.permutation([*range(_COUNT), *rng.integers(0, _COUNT, _NOISE - _COUNT)])))
    noise = rng.dirichlet(np.ones(_NOISE)) * 0.7 + 0.3 / _NOISE
    data = np.array(_DATA.get(kind, rng.dirichlet(np.ones(_COUNT)) * 0.8 + 0.2 / _COUNT))
    generated = np.bincount(table, weights=noise, minlength=_COUNT)
    discriminator = rng.uniform(0.1, 0.9, _COUNT)
    if kind == "equal":
        data = generated
    if kind == "optimal":
        discriminator = data / (data + generated)
    if kind == "moved":
        generated, discriminator = data, np.array([0.9, 0.9, 0.1, 0.1])
    if kind == "swapped":
        generated = generated[::-1]
    data, generated, noise = (
        np.maximum(mass * weights, NOTHING)
        for mass, weights in zip((*masses, masses[1]), (data, generated, noise), strict=True)
    )
    logits, slopes = rng.normal(size=_COUNT), 1.5 * rng.normal(size=_COUNT)

    def model(k: Values, parameter: Any) -> Values:
        weights = np.exp(logits + parameter * slopes)
        return np.asarray((weights / (weights.sum() if masses == (1, 1) else 3))[np.asarray(k, int)])

    def of(values: Values) -> Callable[[Values], Values]:
        return lambda k: np.asarray(values[np.asarray(k, int)])

    count = 12
    symbols: dict[Any, Any] = {s: rng.uniform(0.2, 2, (count, 1)) for s in (a, b, t, p_point, q_point)}
    symbols[y] = rng.uniform(0.2, 0.8, (count, 1))
    symbols[y][:2], symbols[t][2:4] = (symbols[a] / (symbols[a] + symbols[b]))[:2], 1.0
    symbols |= {theta: float(rng.uniform(-1, 1)), theta_0: float(rng.uniform(-1, 1))}
    functions = {"p_data": of(data), "p_g": of(generated), "p_z": of(noise), "D": of(discriminator), "G": of(table)}
    points = {x: np.arange(_COUNT)[None, :], z: np.arange(_NOISE)[None, :]}
    return World(name, points, {x: 1.0, z: 1.0}, {**functions, "p_theta": model}, symbols)


def normal_world(name: str, theta_value: float) -> World:
    """Data N(0, 1), p_theta = N(theta, 1), noise N(0, 1) and G(z) = 1 + z / 2, integrals as sums on a fine grid."""
    grid = np.linspace(-13, 15, 281)[None, :]

    def normal(u: Any, mean: Any = 0.0, deviation: float = 1.0) -> Any:
        return np.exp(-(((u - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))

    functions: dict[str, Any] = {"p_data": normal, "p_z": normal, "p_theta": normal, "G": lambda u: 1 + u / 2}
    functions |= {"p_g": lambda u: normal(u, 1.0, 0.5), "D": lambda u: 0.2 + 0.6 / (1 + np.exp(1 - u))}
    symbols = {**finite_world(name, 1).symbols, theta: theta_value / 2, theta_0: theta_value}
    weight = float(grid[0, 1] - grid[0, 0])
    return World(name, {x: grid, z: grid}, {x: weight, z: weight}, functions, symbols, normals=True)


KINDS = ("", "", "", "equal", "disjoint", "missed", "optimal", "far", "moved", "swapped")
MASSES = ((2, 1), (1, 2), (0.4, 1), (1, 0.4))


@lru_cache(maxsize=1)
def worlds() -> tuple[World, ...]:
    """The worlds in which every claim is computed."""
    finite = [finite_world(f"{kind or 'random'} densities", seed, kind) for seed, kind in enumerate(KINDS)]
    for masses in MASSES:
        for kind in ("equal", "far", "disjoint"):
            name = f"{kind} densities that sum to {masses[0]:g} and {masses[1]:g}"
            finite.append(finite_world(name, len(finite), kind, masses))
    return (*finite, *(normal_world(f"N(0, 1) and N({mean}, 1)", float(mean)) for mean in (1, 2)))


@lru_cache(maxsize=4096)
def require_in_worlds(claim: Any, assumes: frozenset[h.Hypothesis] = frozenset()) -> int:
    """Compute both sides of `claim` wherever the hypotheses hold, and say in how many worlds that was.

    Raises
    ------
    Failed
        If the claim is false somewhere, or no world meets the hypotheses: then they may exclude each other.
    """
    met = 0
    for world in worlds():
        holds = [np.asarray(world.meets(hypothesis)) for hypothesis in assumes]
        if not all(one.any() for one in holds):
            continue
        with np.errstate(all="ignore"):
            left, right = np.broadcast_arrays(world.value(claim.lhs), world.value(claim.rhs))
            equal = left == right  # also where both are infinite
            slack = np.where(equal, 0.0, TOLERANCE * (1 + abs(left) + abs(right)))
            fine = RELATIONS[claim.func](left, right, slack) | (equal & (claim.func in (Eq, Le, Ge)))
        mask = np.logical_and.reduce(np.broadcast_arrays(np.ones(left.shape, bool), *holds))
        if not mask.any():
            continue
        met += 1
        if (bad := mask & ~np.broadcast_to(fine, mask.shape)).any():
            at = tuple(np.argwhere(bad)[0])
            sides = f"{np.broadcast_to(left, mask.shape)[at]:.10g} and {np.broadcast_to(right, mask.shape)[at]:.10g}"
            raise Failed(f"it is false in the world of {world.name}: its two sides are {sides}")
    if not met:
        together = "; ".join(sorted(map(str, assumes)))
        raise Failed(f"in no world do its hypotheses hold together, so they may exclude each other: {together}")
    return met
