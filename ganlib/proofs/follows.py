"""Adding up earlier steps: the rule with which a proof goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sympy import Add, Dummy, Eq, Limit, Mul, S, expand, oo, sympify

from ganlib.proofs import hypotheses as h
from ganlib.proofs.algebra import Failed, require_zero, sign, to_symbols
from ganlib.proofs.calculus import limit_of
from ganlib.proofs.kernel import STRICT, Context
from ganlib.proofs.notation import TOTALS, Defined, Gradient, integral, to_latex
from ganlib.proofs.rules import NONE, Needs, excess
from ganlib.proofs.substitution import Substitution


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

    @property
    def premises(self) -> tuple[str, ...]:
        return tuple(use.name for use in self.uses)

    def confirm(self, claim: Any, context: Context) -> Needs:
        seen = [(use.name, use.at, use.integrate) for use in self.uses]
        if twice := [use.name for use in self.uses if seen.count((use.name, use.at, use.integrate)) > 1]:
            raise Failed(f"it uses {twice[0]!r} twice")
        strict = isinstance(claim, STRICT)
        parts, needs = [], NONE
        for use in self.uses:
            part, needed = _part(use, context, strict)
            parts.append(part)
            needs |= needed
        sources = [(use, context.source(use.name).claim) for use in self.uses]
        if isinstance(claim, Eq) and not all(isinstance(source, Eq) for _, source in sources):
            raise Failed("an equation cannot follow from inequalities")
        if strict and not any(isinstance(source, STRICT) for _, source in sources):
            raise Failed("a strict inequality needs a strict premise")
        if not isinstance(claim, Eq) and all(isinstance(source, Eq) for _, source in sources):
            raise Failed("an inequality cannot follow from equations")
        if not strict and any(isinstance(source, STRICT) and not use.integrate for use, source in sources):
            raise Failed(f"the inequality {to_latex(claim)} is strict: say so")
        whole, *parts = _with_named_totals([excess(claim), *parts])
        for use, part in zip(self.uses, parts, strict=True):
            if _vanishes(part):
                raise Failed(f"it does not need {use.name!r}")
        # A known integral may be put in only where something was integrated: an equation is not proved here again.
        known = context.known() if any(use.integrate for use in self.uses) else frozenset()
        return needs | context.behind(require_zero(whole - Add(*parts), known))


@lru_cache(maxsize=4096)
def _vanishes(expr: Any) -> bool:
    try:
        require_zero(expr)
    except Failed:
        return False
    return True


def _part(use: Use, context: Context, strict: bool) -> tuple[Any, Needs]:
    """What a premise adds, and the hypotheses it brings; with `strict`, those under which it is strict."""
    source = context.source(use.name)
    equation, weight = isinstance(source.claim, Eq), sympify(use.weight)
    if weight.has(*TOTALS, Limit) or sign(weight) not in ((1, -1) if equation else (1,)):
        wanted = "one that is known not to vanish" if equation else "a positive one"
        raise Failed(f"{use.name!r} is used with the weight {to_latex(weight)}, not {wanted}")
    if {oo, -oo} & set(source.claim.args):
        raise Failed(f"{use.name!r} states an infinite value: it cannot be added")
    put = Substitution(use.at)
    part = weight * put(excess(source.claim))
    needs = NONE.union(*(one.moved(put) for one in source.assumes))
    if not use.integrate:
        return part, needs
    if part.has(*TOTALS) or not h.positive(part):
        raise Failed(f"{use.name!r} is not about densities at a point: there is nothing to integrate")
    return integral(part), _integrated(part, needs, strict and isinstance(source.claim, STRICT))


def _integrated(part: Any, needs: Needs, strict: bool) -> Needs:
    """The hypotheses of an integrated premise.

    A weak inequality holds wherever its terms are continuous, so what was excluded at single points no longer
    matters. A strict one needs a set of positive measure on which it is strict.
    """
    apart = [one for one in needs if isinstance(one, h.Apart)]
    rest = frozenset(one for one in needs if not isinstance(one, h.Apart | h.Positive))
    if not strict:
        return rest
    densities = sorted((one.density for one in h.positive(part)), key=str)  # type: ignore[attr-defined]
    lost = [density for density in densities if not _positive_where_it_vanishes(part, density)]
    if len(densities) > 2 or len(apart) > 1:
        raise Failed("a strict inequality is integrated with at most two densities and one pair of values that differ")
    if apart:
        if lost:
            raise Failed(f"the inequality is not strict where {to_latex(lost[0])} vanishes")
        none = {to_symbols(density): S.Zero for density in densities}
        if apart[0].key.xreplace(none) != 0:
            raise Failed("nothing says that there is mass where the values differ")
        return rest | {h.Differ(apart[0].left, apart[0].right)}
    return rest | {h.Overlap(*densities) if len(densities) == 2 else h.Normalised(densities[0])}


@lru_cache(maxsize=1024)
def _positive_where_it_vanishes(part: Any, density: Any) -> bool:
    return sign(limit_of(to_symbols(part), to_symbols(density), S.Zero, "+")) == 1


def _with_named_totals(exprs: list[Any]) -> list[Any]:
    """`exprs` with the totals that several of them speak of as symbols, and the others written out."""
    exprs = [expand(_linear(expr)) for expr in exprs]
    while True:
        shared = Counter(total for expr in exprs for total in set(_named(expr)))
        single = {total for total, count in shared.items() if count == 1}
        if not single:
            break
        exprs = [expand(_linear(expr.xreplace({total: total.unfold() for total in single}))) for expr in exprs]
    return [expr.xreplace({total: _name(total) for total in shared}) for expr in exprs]


@cache  # one symbol for one total, so that what was decided about it is found again
def _name(total: Any) -> Any:
    return Dummy(str(total), real=True)


def _named(expr: Any) -> Iterator[Any]:
    """The defined totals of `expr` that are not inside another one."""
    if isinstance(expr, Defined) and isinstance(expr, TOTALS):
        yield expr
    else:
        for argument in expr.args:
            yield from _named(argument)


def _linear(expr: Any) -> Any:
    """`expr` with the gradient of a sum as a sum of gradients."""

    def split(node: Any) -> Any:
        terms = [term.as_coeff_Mul() for term in Add.make_args(expand(node.args[0]))]
        return Add(*(Mul(number, Gradient(term)) for number, term in terms))

    return expr.replace(lambda node: isinstance(node, Gradient), split)
