"""Concrete distributions on which both sides of a claim are computed.

On a finite set an integral is a finite sum; on the line it is computed by quadrature with mpmath.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
from sympy import (
    Add,
    Dummy,
    Eq,
    Ge,
    Gt,
    Integral,
    Le,
    Lt,
    Mod,
    Mul,
    Rational,
    S,
    exp,
    lambdify,
    limit,
    log,
    oo,
    pi,
    sqrt,
    sympify,
    together,
)
from sympy.core.function import AppliedUndef

from ganlib.proofs.algebra import Failed
from ganlib.proofs.notation import D, Defined, G, Gradient, p_data, p_g, p_theta, p_z, theta, theta_0, unfold, x, z

TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Family:
    """Concrete values for the functions of a proof.

    Parameters
    ----------
    name
        How the report calls it.
    functions
        For each undefined function, a callable that builds its value from its arguments.
    spaces
        For each integration variable, the points of a finite set (a list of integers) or the break points of an
        interval of the line (a tuple, infinite ends allowed).
    at
        The frozen parameter theta_0, where there is one.
    """

    name: str
    functions: Mapping[Any, Callable[..., Any]]
    spaces: Mapping[Any, Sequence[Any]]
    at: Any = S.Zero

    @property
    def method(self) -> str:
        """How integrals are computed on this family."""
        return "finite sums" if all(isinstance(space, list) for space in self.spaces.values()) else "quadrature"


def evaluate(expr: Any, family: Family) -> Any:
    """The number that `expr` is on `family`.

    Integrals are summed or computed by quadrature. A ``Gradient`` is a central difference of its argument, computed
    *without* differentiating under the integral sign, so that it can check that step.

    Examples
    --------
    >>> from ganlib.proofs.notation import JSD
    >>> print(mpmath.nstr(evaluate(JSD(p_data(x), p_g(x)), DISJOINT) / mpmath.log(2), 10))
    1.0
    """
    if isinstance(expr, Gradient):
        return _central_difference(lambda s: evaluate(expr.args[0].xreplace({theta: s}), family), family.at)
    if isinstance(expr, Defined):
        return evaluate(expr.unfold(), family)
    if isinstance(expr, Integral):
        return _integrate(expr, family)
    if isinstance(expr, Add):
        return mpmath.fsum(evaluate(term, family) for term in expr.args)
    if isinstance(expr, Mul):
        return mpmath.fprod(evaluate(factor, family) for factor in expr.args)
    return mpmath.mpf(expr.xreplace({theta_0: family.at}).evalf(20))


def _central_difference(function: Callable[[Any], Any], at: Any) -> Any:
    step = Rational(1, 500)
    near, far = (function(at + k * step) - function(at - k * step) for k in (1, 2))
    return (8 * near - far) / (12 * mpmath.mpf(1) / 500)


@lru_cache(maxsize=4096)
def _integrate(expr: Any, family: Family) -> Any:
    variable, integrand = expr.variables[0], unfold(expr.function)
    space = family.spaces[variable]
    if isinstance(space, list):
        return mpmath.fsum(mpmath.mpf(_at_point(integrand.xreplace({variable: k}), family).evalf(20)) for k in space)
    # 1 - p / (p + q) cancels catastrophically in the tails, q / (p + q) does not.
    integrand = integrand.replace(log, lambda argument: log(together(argument)))
    for function, value in family.functions.items():
        integrand = integrand.replace(function, value)
    integrand = integrand.doit().xreplace({theta_0: family.at})
    ends = [{oo: mpmath.inf, -oo: -mpmath.inf}.get(end, end) for end in space]
    return mpmath.quad(lambdify(variable, integrand, "mpmath"), ends)


def _at_point(expr: Any, family: Family) -> Any:
    """The value of an integrand at a point of a finite set; where a density is 0, its limit (0 log 0 = 0)."""
    vanishing: dict[Any, Any] = {}

    def value(atom: Any) -> Any:
        number = sympify(family.functions[atom.func](*atom.args))
        return vanishing.setdefault(atom, Dummy(positive=True)) if number == 0 and atom.func != G else number

    # Bottom-up, so that G(z) has its value before D(G(z)) is looked up.
    expr = expr.replace(lambda node: isinstance(node, AppliedUndef), value).doit().xreplace({theta_0: family.at})
    for symbol in vanishing.values():
        expr = limit(expr, symbol, 0, "+")
    return expr


def require_on(claim: Any, family: Family) -> None:
    """Compute both sides of `claim` on `family`; raise `Failed` with both numbers if the claim is false there."""
    left, right = evaluate(claim.lhs, family), evaluate(claim.rhs, family)
    slack = TOLERANCE * (1 + abs(left) + abs(right))
    holds = {
        Eq: abs(left - right) <= slack,
        Le: left <= right + slack,
        Lt: left < right - slack,
        Ge: left >= right - slack,
        Gt: left > right + slack,
    }[claim.func]
    if not holds:
        values = f"{mpmath.nstr(left, 10)} and {mpmath.nstr(right, 10)}"
        raise Failed(f"on the family {family.name} its two sides are {values}")


def _normal(mean: Any, deviation: Any = 1) -> Callable[[Any], Any]:
    return lambda u: exp(-(((u - mean) / deviation) ** 2) / 2) / (deviation * sqrt(2 * pi))


def _exponential(rate: Any) -> Callable[[Any], Any]:
    return lambda u: rate * exp(-rate * u)


def _table(*weights: Any) -> Callable[[Any], Any]:
    total = sum(weights)
    return lambda k: Rational(weights[int(k)], total)


NORMALS = Family(
    "N(0, 1) against N(1, 3/2)",
    {p_data: _normal(0), p_g: _normal(1, Rational(3, 2))},
    {x: (-oo, 0, 1, oo)},
)
EXPONENTIALS = Family("exponentials of rates 1 and 3", {p_data: _exponential(1), p_g: _exponential(3)}, {x: (0, 1, oo)})
CATEGORICAL = Family("(3, 2, 1)/6 against (1, 1, 4)/6", {p_data: _table(3, 2, 1), p_g: _table(1, 1, 4)}, {x: [0, 1, 2]})
MISSED = Family(
    "(1, 1, 0)/2 against (0, 1, 3)/4, each missing a point",
    {p_data: _table(1, 1, 0), p_g: _table(0, 1, 3)},
    {x: [0, 1, 2]},
)
DISJOINT = Family(
    "(1, 1, 0, 0)/2 against (0, 0, 1, 3)/4",
    {p_data: _table(1, 1, 0, 0), p_g: _table(0, 0, 1, 3)},
    {x: [0, 1, 2, 3]},
)
PAIRS = (NORMALS, EXPONENTIALS, CATEGORICAL, MISSED)


def _logistic(u: Any) -> Any:
    return Rational(1, 5) + Rational(3, 5) / (1 + exp(1 - u))


PUSHFORWARDS = (
    Family(
        "uniform z, G the inverse CDF of an exponential",
        {p_data: _exponential(1), p_z: lambda u: 1, G: lambda u: -log(1 - u) / 2, p_g: _exponential(2), D: _logistic},
        {x: (0, 1, oo), z: (0, 1)},
    ),
    Family(
        "normal z, G affine",
        {p_data: _normal(0), p_z: _normal(0), G: lambda u: 1 + u / 2, p_g: _normal(1, Rational(1, 2)), D: _logistic},
        {x: (-oo, 0, 1, oo), z: (-oo, 0, oo)},
    ),
    Family(
        "uniform z, G(z) = z^2, which is not invertible",
        {
            p_data: lambda u: 1,
            p_z: lambda u: Rational(1, 2),
            G: lambda u: u**2,
            p_g: lambda u: 1 / (2 * sqrt(u)),
            D: lambda u: (1 + u) / 3,
        },
        {x: (0, 1), z: (-1, 0, 1)},
    ),
    Family(
        "six noise values, G(z) = z mod 3",
        {
            p_data: _table(3, 2, 1),
            p_z: _table(1, 1, 1, 1, 1, 1),
            G: lambda u: Mod(u, 3),
            p_g: _table(2, 2, 2),
            D: lambda u: (1 + u) / 5,
        },
        {x: [0, 1, 2], z: [0, 1, 2, 3, 4, 5]},
    ),
)


def shifted_normals(shift: Any) -> Family:
    """Data N(0, 1), generator N(theta, 1), frozen at theta_0 = `shift`."""
    ends = (-oo, *sorted({0, shift / 2, shift}), oo)
    return Family(
        f"N(0, 1) against N(theta, 1) at theta = {shift}",
        {p_data: _normal(0), p_theta: lambda u, mean: _normal(mean)(u)},
        {x: ends},
        at=Rational(shift),
    )


BERNOULLI = Family(
    "Bernoulli(3/4) against Bernoulli(theta) at theta = 3/10",
    {p_data: _table(1, 3), p_theta: lambda k, mean: mean if k == 1 else 1 - mean},
    {x: [0, 1]},
    at=Rational(3, 10),
)
GAUSSIANS = (shifted_normals(1), shifted_normals(4))
FROZEN = (GAUSSIANS[0], BERNOULLI)
