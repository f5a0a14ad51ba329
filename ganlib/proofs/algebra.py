"""What SymPy must decide in a proof: that an expression vanishes, and which sign it has.

Both work on arbitrary densities. Every unknown value (p(x), D(x), the lemma's y) becomes a positive symbol first, so
that logarithms split and fractions cancel with no case distinctions.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache, lru_cache
from typing import Any

from sympy import (
    Add,
    Derivative,
    Dummy,
    Integral,
    Mul,
    Poly,
    S,
    cancel,
    expand,
    expand_log,
    factor_list,
    fraction,
    log,
    oo,
    sympify,
    together,
)
from sympy.core.function import AppliedUndef

from ganlib.proofs.notation import StationaryPoint, in_unit_interval, theta_0, to_latex, unfold, y


class Failed(ValueError):
    """A claim that could not be confirmed, or a hypothesis that cannot be made. The message says why."""


@cache  # never evict: an atom must keep its stand-in
def _stand_in(atom: Any) -> Any:
    """A positive (or, for derivatives, real) symbol for an unknown value; y and D(.) become 1 / (1 + odds)."""
    if in_unit_interval(atom):
        return 1 / (1 + Dummy("odds", positive=True))
    return Dummy(str(atom), positive=True) if atom.is_positive else Dummy(str(atom), real=True)


@lru_cache(maxsize=4096)
def to_symbols(expr: Any) -> Any:
    """Unfold `expr` and replace every unknown function value by its stand-in, and y by 1 / (1 + odds)."""
    expr = unfold(expr)
    atoms = expr.atoms(Derivative, StationaryPoint) | {y}
    expr = expr.xreplace({atom: _stand_in(atom) for atom in atoms if expr.has(atom)})
    return expr.xreplace({atom: _stand_in(atom) for atom in expr.atoms(AppliedUndef)})


def _split_log(argument: Any) -> Any:
    """log(u) as a sum of logs of irreducible positive factors."""
    numerator, denominator = fraction(cancel(together(argument)))
    parts = []
    for sign, polynomial in ((1, numerator), (-1, denominator)):
        content, factors = factor_list(polynomial)
        if polynomial.is_Number or content.is_negative or not all(f.is_positive for f, _ in factors):
            parts.append(sign * expand_log(log(polynomial)))
        else:
            parts.append(sign * (expand_log(log(content)) + sum(k * log(f) for f, k in factors)))
    return Add(*parts)


@lru_cache(maxsize=4096)
def split_logs(expr: Any) -> Any:
    """Expand `expr` (already in symbols) with all logarithms split into irreducible ones."""
    return expand(expr.replace(log, _split_log))


def _as_polynomial_in_logs(expr: Any) -> Any:
    """`expr` as a fraction in lowest terms, each logarithm of an unknown standing for itself."""
    expr = split_logs(expr)
    logs = {term: Dummy(str(term)) for term in expr.atoms(log) if term.free_symbols}
    back = {dummy: term for term, dummy in logs.items()}
    return cancel(together(expr.xreplace(logs))).xreplace(back)


def parts(expr: Any) -> tuple[dict[Any, Any], Any]:
    """Split a linear combination of integrals into one integrand per variable and the scalar rest.

    Raises
    ------
    Failed
        If `expr` is not linear in its integrals, or an integral is nested or does not run over the whole space.
    """
    integrands: dict[Any, Any] = defaultdict(lambda: S.Zero)
    scalar = S.Zero
    for term in Add.make_args(expand(unfold(expr))):
        if not term.has(Integral):
            scalar += term
            continue
        coefficient, rest = term.as_independent(Integral, as_Add=False)
        if not isinstance(rest, Integral) or rest.limits[0][1:] != (-oo, oo):
            raise Failed(f"{term} is not a number times an integral over the whole space")
        if rest.function.has(Integral):
            raise Failed(f"{to_latex(rest)} is an integral of an integral")
        if rest.variables[0] in coefficient.free_symbols:
            raise Failed(f"the factor {coefficient} of an integral contains its variable")
        integrands[rest.variables[0]] += coefficient * rest.function
    return integrands, scalar


@lru_cache(maxsize=4096)
def require_zero(expr: Any, known: frozenset[tuple[Any, Any]] = frozenset()) -> frozenset[Any]:
    """Confirm that `expr` is zero for all densities, by algebra, linearity and the integrals that are known.

    Parameters
    ----------
    expr
        A linear combination of integrals and plain terms.
    known
        Pairs of an integral over the whole space and the number that it is.

    Returns
    -------
    frozenset
        The integrals of `known` that were needed.

    Raises
    ------
    Failed
        If it is not zero, or SymPy cannot tell.

    Examples
    --------
    >>> from sympy import log
    >>> from ganlib.proofs.notation import KL, integral, p_data, p_g, x
    >>> p, q = p_data(x), p_g(x)
    >>> require_zero(KL(p, q) - integral(p * log(p / q) + q) + 1, frozenset({(integral(q), 1)}))
    frozenset({Integral(p_g(x), (x, -oo, oo))})
    """
    integrands, scalar = parts(expr)
    used: set[Any] = set()
    for variable, integrand in integrands.items():
        rest = _as_polynomial_in_logs(to_symbols(integrand))
        if rest != 0:
            here = [(total, value) for total, value in known if total.variables[0] == variable]
            scalar += _from_known(rest, here, integrand, used)
    rest = _as_polynomial_in_logs(to_symbols(scalar))
    if rest != 0:
        raise Failed(f"the two sides differ by {to_latex(scalar)}")
    return frozenset(used)


def _from_known(rest: Any, known: list[tuple[Any, Any]], integrand: Any, used: set[Any]) -> Any:
    """Write `rest` as a constant combination of the integrands of `known`; return its integral, add to `used`."""
    numerator, denominator = fraction(rest)
    symbols = [to_symbols(total.function) for total, _ in known]
    unknown = Failed(
        f"the integrands differ: {to_latex(integrand)} does not integrate to a known number under its hypotheses"
    )
    if not known or denominator.free_symbols or not numerator.is_polynomial(*symbols):
        raise unknown
    result = S.Zero
    for powers, coefficient in Poly(numerator, *symbols).terms():
        if sum(powers) != 1 or coefficient.free_symbols - {theta_0}:  # the parameter is one number at all x
            raise unknown
        total, value = known[powers.index(1)]
        used.add(total)
        result += coefficient / denominator * value
    return result


def _gather_logs(expr: Any) -> Any:
    """Collect c log(u) + c log(v) into c log(u v), whose sign is that of u v - 1."""
    groups: dict[Any, Any] = defaultdict(lambda: S.One)
    rest = S.Zero
    for term in Add.make_args(split_logs(expr)):
        factors = Mul.make_args(term)
        logs = [f for f in factors if isinstance(f, log)]
        if len(logs) != 1:
            rest += term
            continue
        number, others = Mul(*[f for f in factors if f is not logs[0]]).as_coeff_Mul()
        groups[others] *= logs[0].args[0] ** number
    return rest + Add(*[key * log(cancel(together(u))) for key, u in groups.items()])


def _log_sign(argument: Any) -> Any:
    excess = cancel(together(argument - 1))
    if excess.is_positive:
        return Dummy("positive", positive=True)
    if excess.is_negative:
        return Dummy("negative", negative=True)
    return S.Zero if excess == 0 else log(argument)


@lru_cache(maxsize=4096)
def sign(expr: Any) -> int | None:
    """The sign of `expr` for all positive densities and all y, D(.) in (0, 1); None when SymPy cannot tell.

    Examples
    --------
    >>> from ganlib.proofs.notation import p_data, p_g, x
    >>> sign(p_data(x) / (p_data(x) + p_g(x)) - 1), sign(p_data(x) - p_g(x))
    (-1, None)
    """
    symbols = to_symbols(expr)
    signed = _gather_logs(symbols).replace(log, _log_sign)
    for form in (symbols, signed, cancel(together(signed))):
        if form == 0:
            return 0
        if form.is_positive:
            return 1
        if form.is_negative:
            return -1
    return None


@lru_cache(maxsize=4096)
def difference(left: Any, right: Any) -> Any:
    """What must not vanish for the two to differ, all densities being positive: a polynomial of their stand-ins.

    It is 0 if they are the same, 1 if they always differ, and the same for every way to write one difference.

    Examples
    --------
    >>> from ganlib.proofs.notation import Mixture, p_data, p_g, x
    >>> p, q = p_data(x), p_g(x)
    >>> difference(p / Mixture(p, q), 1) == difference(q, p), difference(p, p), difference(p + q, p)
    (True, 0, 1)
    """
    numerator, _ = fraction(_as_polynomial_in_logs(to_symbols(sympify(left)) - to_symbols(sympify(right))))
    if numerator == 0:
        return S.Zero
    factors = [f for f, _ in factor_list(numerator)[1] if not (f.is_positive or f.is_negative)]
    product = expand(Mul(*factors))
    return -product if product.could_extract_minus_sign() else product
