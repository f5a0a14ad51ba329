"""The rules that decide a step's claim, each by computing with the claim itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Dummy, Eq, FunctionClass, Ge, Gt, Limit, Lt, S, Symbol, limit, solve, together

from ganlib.proofs.algebra import Failed, parts, require_zero, sign
from ganlib.proofs.kernel import Step
from ganlib.proofs.notation import in_unit_interval, integral, to_latex, unfold, x


def excess(claim: Any) -> Any:
    """The side that is claimed to be larger minus the other, or left minus right for an equation."""
    return claim.lhs - claim.rhs if isinstance(claim, Eq | Ge | Gt) else claim.rhs - claim.lhs


def _require_equation(claim: Any) -> None:
    if not isinstance(claim, Eq):
        raise Failed(f"it must be an equation, not {to_latex(claim)}")


def _require_inequality(claim: Any) -> None:
    if isinstance(claim, Eq):
        raise Failed(f"it must be an inequality, not {to_latex(claim)}")


@dataclass(frozen=True)
class Identity:
    """The two sides are equal for all densities, by algebra, linearity and the integrals in `given`."""

    given: tuple[Any, ...] = ()
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_equation(claim)
        require_zero(excess(claim), self.given)


@dataclass(frozen=True)
class Sign:
    """The inequality holds by the signs of the terms; `cases` sets some of its symbols to boundary values too."""

    cases: tuple[tuple[Any, Any], ...] = ()
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_inequality(claim)
        larger = excess(claim)
        wanted = (1,) if isinstance(claim, Gt | Lt) else (0, 1)
        for difference in (larger, *(larger.subs(symbol, value) for symbol, value in self.cases)):
            if sign(difference) not in wanted:
                raise Failed(f"cannot confirm that {to_latex(difference)} is positive")


@lru_cache(maxsize=1024)
def _limit(expr: Any, variable: Any, point: Any, side: str) -> Any:
    return limit(expr, variable, point, side)


@dataclass(frozen=True)
class LimitValue:
    """The left side is a limit, and the right side is its value."""

    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_equation(claim)
        if not isinstance(claim.lhs, Limit):
            raise Failed(f"the left side must be a limit, not {to_latex(claim.lhs)}")
        expr, variable, point, side = claim.lhs.args
        value = _limit(expr, variable, point, str(side))
        if value != claim.rhs:
            if not (value.is_finite and claim.rhs.is_finite):
                raise Failed(f"the limit is {to_latex(value)}, not {to_latex(claim.rhs)}")
            require_zero(value - claim.rhs)


@dataclass(frozen=True)
class Root:
    """The right side is the only zero, in `variable`, of the right side of the step `of`."""

    of: str
    variable: Any
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_equation(claim)
        if not isinstance(claim.lhs, Symbol):
            raise Failed(f"the left side must name the root, not be {to_latex(claim.lhs)}")
        roots = _roots(_source(earlier, self.of).claim.rhs, self.variable)
        if len(roots) != 1:
            raise Failed(f"the derivative vanishes at {len(roots)} points: {roots}")
        require_zero(roots[0] - claim.rhs)


@lru_cache(maxsize=1024)
def _roots(expr: Any, variable: Any) -> tuple[Any, ...]:
    return tuple(solve(together(expr), variable))


@dataclass(frozen=True)
class Convexity:
    """The larger side minus the other is convex in `variable`, and not negative where its derivative vanishes.

    The domain is (0, 1) for the lemma's y, and (0, oo) for any other positive symbol. With `elsewhere`, a strict
    claim is meant for all points but the minimiser.
    """

    variable: Any
    elsewhere: bool = False
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_inequality(claim)
        gap = unfold(excess(claim))
        if sign(gap.diff(self.variable, 2)) != 1:
            raise Failed(f"the difference {to_latex(gap)} is not convex in {self.variable}")
        roots = _roots(gap.diff(self.variable), self.variable)
        if len(roots) != 1 or sign(roots[0]) != 1 or not self._inside(roots[0]):
            raise Failed(f"the difference {to_latex(gap)} has no single minimum inside the domain")
        lowest = sign(gap.subs(self.variable, roots[0]))
        strict = isinstance(claim, Gt | Lt) and not self.elsewhere
        if lowest is None or lowest < int(strict):
            raise Failed(f"at {to_latex(roots[0])} the difference is not {'positive' if strict else 'nonnegative'}")

    def _inside(self, point: Any) -> bool:
        return not in_unit_interval(self.variable) or sign(1 - point) == 1


@dataclass(frozen=True)
class Use:
    """An earlier step as a premise of `Follows`: times `weight`, after the substitution `at`, perhaps integrated."""

    name: str
    weight: Any = S.One
    at: tuple[tuple[Any, Any], ...] = ()
    integrate: bool = False


@dataclass(frozen=True)
class Follows:
    """The claim is a combination of earlier steps: equations with any weight, inequalities with positive ones."""

    uses: tuple[Use, ...]
    given: tuple[Any, ...] = ()
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        total, kinds = S.Zero, set()
        for use in self.uses:
            source = _source(earlier, use.name).claim
            kinds.add("equation" if isinstance(source, Eq) else "strict" if isinstance(source, Gt | Lt) else "weak")
            if not isinstance(source, Eq) and sign(use.weight) != 1:
                raise Failed(f"the inequality {use.name!r} is used with the weight {use.weight}, not a positive one")
            part = use.weight * _substitute(excess(source), use.at)
            total += integral(part) if use.integrate else part
        if isinstance(claim, Eq) and kinds != {"equation"}:
            raise Failed("an equation cannot follow from inequalities")
        if isinstance(claim, Gt | Lt) and "strict" not in kinds:
            raise Failed("a strict inequality needs a strict premise")
        require_zero(excess(claim) - total, self.given)


def _source(earlier: Mapping[str, Step], name: str) -> Step:
    if name not in earlier:
        raise Failed(f"it uses {name!r}, which is not an earlier step")
    return earlier[name]


def _substitute(expr: Any, at: tuple[tuple[Any, Any], ...]) -> Any:
    """Substitute symbols and functions, after confirming that each value lies where the symbol does."""
    rules: dict[Any, Any] = {}
    for old, new in at:
        if isinstance(old, FunctionClass):
            _require_in_range(old(x), new(x))
            expr = expr.replace(old, new)
        else:
            _require_in_range(old, new)
            rules[old] = new
    return expr.xreplace(rules)


def _require_in_range(old: Any, new: Any) -> None:
    if (old.is_positive and sign(new) != 1) or (in_unit_interval(old) and sign(1 - new) != 1):
        raise Failed(f"{to_latex(new)} is not known to lie where {to_latex(old)} does")


@dataclass(frozen=True)
class Chain:
    """The claim joins the left side of the step `first` to the right side of `last`, along unbroken links."""

    first: str
    last: str
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_equation(claim)
        link = _source(earlier, self.last)
        if claim.lhs != _source(earlier, self.first).claim.lhs or claim.rhs != link.claim.rhs:
            raise Failed(f"it does not join the two ends of the chain from {self.first!r} to {self.last!r}")
        while link.name != self.first:
            if link.after is None:
                raise Failed(f"the chain breaks at {link.name!r}")
            link = earlier[link.after]


@dataclass(frozen=True)
class OnDisjointSupports:
    """An identity for densities `p` and `q` of which one is zero wherever the other is not."""

    p: Any
    q: Any
    given: tuple[Any, ...] = ()
    how = "symbolic"

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        _require_equation(claim)
        integrands, scalar = parts(excess(claim))
        p, q = Dummy("p", positive=True), Dummy("q", positive=True)
        integrand = unfold(integrands[x]).xreplace({self.p: p, self.q: q})
        split = _limit(integrand, q, 0, "+").xreplace({p: self.p}) + _limit(integrand, p, 0, "+").xreplace({q: self.q})
        require_zero(integral(split) + scalar, self.given)


@dataclass(frozen=True)
class Numerical:
    """No symbolic argument: the step rests on its assumptions, and on the families on which it is computed."""

    how = ""

    def confirm(self, claim: Any, earlier: Mapping[str, Step]) -> None:
        return None
