"""Putting other values into a proved claim: which ones it allows, and why the others are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sympy import Derivative, Dummy, FunctionClass, Integral, Limit, Subs, Symbol

from ganlib.proofs.algebra import Failed, sign
from ganlib.proofs.notation import (
    TOTALS,
    D,
    Gradient,
    StationaryPoint,
    in_unit_interval,
    p_data,
    p_g,
    p_z,
    theta,
    theta_0,
    to_latex,
    x,
    z,
)

# A generator or a p_theta is part of a hypothesis wherever it occurs, so nothing may stand in for it.
_FUNCTIONS = (p_data, p_g, p_z, D)
_POINT = Dummy("u", real=True)  # any argument


@dataclass(frozen=True)
class Substitution:
    """Values for symbols and functions, put in all at once: ``Substitution(((a, p_data(x)), (D, lambda u: ...)))``."""

    at: tuple[tuple[Any, Any], ...] = ()

    def __call__(self, expr: Any) -> Any:
        """`expr` with the values put in.

        Raises
        ------
        Failed
            If a value does not lie where what it replaces does, is bound, or would be captured by an integral.
        """
        for old, new in self.at:
            if isinstance(old, FunctionClass):
                expr = expr.replace(old, _function(old, new))
        return expr.xreplace(
            {old: _value(old, new, expr) for old, new in self.at if not isinstance(old, FunctionClass)}
        )


def _function(old: Any, new: Callable[[Any], Any]) -> Callable[[Any], Any]:
    if old not in _FUNCTIONS:
        raise Failed(f"nothing may stand in for the function {old}")
    point = _POINT
    if outside := new(point).free_symbols - {point, theta_0}:
        raise Failed(f"what replaces {old} must depend on its argument alone, not on {sorted(map(str, outside))[0]}")
    _require_in_range(old(point), new(point))
    return new


def _value(old: Any, new: Any, expr: Any) -> Any:
    if not isinstance(old, Symbol):
        raise Failed(f"{to_latex(old)} is not a symbol or a function that a value can stand in for")
    if old in (x, z) or old in bound_variables(expr):
        raise Failed(f"{to_latex(old)} is bound in {to_latex(expr)}: no value can stand in for it")
    if new.has(*TOTALS, Limit, Derivative, StationaryPoint):
        raise Failed(f"{to_latex(new)} is not a value that {to_latex(old)} can take at a point")
    if new.has(x, z) and any(total.has(old) for total in expr.atoms(*TOTALS)):
        raise Failed(f"{to_latex(new)} would be captured by an integral over {to_latex(old)}")
    _require_in_range(old, new)
    return new


def bound_variables(expr: Any) -> set[Any]:
    """What the derivatives, integrals, limits and the like in `expr` run over."""
    bound = {variable for node in expr.atoms(Derivative, Integral, Subs) for variable in node.variables}
    bound |= {node.args[1] for node in expr.atoms(Limit, StationaryPoint)}
    return bound | ({theta, theta_0} if expr.has(Gradient) else set())


def _require_in_range(old: Any, new: Any) -> None:
    inside = sign(new) == 1 if old.is_positive else new.is_real
    if not inside or (in_unit_interval(old) and sign(1 - new) != 1):
        raise Failed(f"{to_latex(new)} is not known to lie where {to_latex(old)} does")
