"""The rules that need more than algebra: limits, minima of convex functions, changes of variables, parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Derivative, Eq, Ge, Gt, Limit, S, Subs, exp, limit, solve, together

from ganlib.proofs import hypotheses as h
from ganlib.proofs.algebra import Failed, require_zero, sign, to_symbols
from ganlib.proofs.kernel import STRICT, Context
from ganlib.proofs.notation import (
    TOTALS,
    Expect,
    G,
    Gradient,
    OptimalD,
    StationaryPoint,
    in_unit_interval,
    integral,
    p_data,
    p_point,
    p_theta,
    q_point,
    theta,
    theta_0,
    to_latex,
    unfold,
    x,
    y,
    z,
)
from ganlib.proofs.rules import NONE, Alone, Needs, excess, require_equation, require_inequality, require_strict, zero


@lru_cache(maxsize=1024)
def limit_of(expr: Any, variable: Any, point: Any, side: str) -> Any:
    return limit(expr, variable, point, side)


@dataclass(frozen=True)
class LimitValue(Alone):
    """The left side is a limit, and the right side is its value."""

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        if not isinstance(claim.lhs, Limit):
            raise Failed(f"the left side must be a limit, not {to_latex(claim.lhs)}")
        expr, variable, point, side = claim.lhs.args
        if expr.has(*TOTALS):  # nothing lets a limit pass under an integral sign
            raise Failed(f"{to_latex(claim.lhs)} is the limit of an integral")
        value = limit_of(expr, variable, point, str(side))
        if value != claim.rhs:
            if not (value.is_finite and claim.rhs.is_finite):
                raise Failed(f"the limit is {to_latex(value)}, not {to_latex(claim.rhs)}")
            return zero(value - claim.rhs, context)
        return NONE


@lru_cache(maxsize=1024)
def _roots(expr: Any, variable: Any) -> tuple[Any, ...]:
    return tuple(solve(together(expr), variable))


@dataclass(frozen=True)
class Root:
    """The right side is the only zero of the derivative that the step `of` states; the left side names it."""

    of: str

    @property
    def premises(self) -> tuple[str, ...]:
        return (self.of,)

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        source = context.source(self.of)
        slope, variable = source.claim.rhs, y
        if not isinstance(source.claim.lhs, Derivative) or source.claim.lhs.variables != (variable,):
            raise Failed(f"the step {self.of!r} states no derivative in {to_latex(variable)}")
        if claim.lhs != StationaryPoint(source.claim.lhs.expr, variable):
            raise Failed(f"the left side must name the zero of that derivative, not be {to_latex(claim.lhs)}")
        roots = _roots(slope, variable)
        if len(roots) != 1:
            raise Failed(f"the derivative vanishes at {len(roots)} points: {roots}")
        return zero(roots[0] - claim.rhs, context) | source.assumed


@dataclass(frozen=True)
class Convexity:
    """The larger side minus the other is convex in `variable`, and not negative where its derivative vanishes.

    The domain is (0, 1) for the lemma's y, and (0, oo) for any other positive symbol. `curvature` names the step that
    states the second derivative, or its sign; `stationary`, `inside` and `value`, if given, the steps that say where
    the derivative vanishes, that this is inside the domain, and the value there.
    """

    variable: Any
    curvature: str
    stationary: str | None = None
    inside: str | None = None
    value: str | None = None

    @property
    def premises(self) -> tuple[str, ...]:
        return tuple(name for name in (self.curvature, self.stationary, self.inside, self.value) if name)

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_inequality(claim)
        v, gap = self.variable, unfold(excess(claim))
        curved, bend = self._curved(context)
        rest = gap - bend * curved  # what is left must be constant in v
        try:
            require_zero(rest.diff(v))
        except Failed:
            raise Failed(f"{self.curvature!r} is not about the difference {to_latex(gap)}") from None
        root = self._root(curved, context)
        require_zero(gap.diff(v).subs(v, root))
        self._require_inside(root, context)
        lowest = sign(rest.subs(v, root) + bend * self._value(curved, root, context))
        if lowest not in (0, 1):
            raise Failed(f"at {to_latex(root)} the difference is not nonnegative")
        needs = NONE.union(*(context.source(name).assumed for name in self._read(context)))
        if lowest == 1:
            require_strict(claim)
        elif isinstance(claim, STRICT):
            needs |= {h.Apart(v, root)}
        return needs

    def _read(self, context: Context) -> tuple[str, ...]:
        """The premises, and the second derivative of which `curvature` may state the sign alone."""
        after = context.source(self.curvature).after
        return (*self.premises, after) if after else self.premises

    def _curved(self, context: Context) -> tuple[Any, int]:
        """The function whose second derivative is stated, and the sign of that derivative."""
        step = context.source(self.curvature)
        if isinstance(step.claim, Eq):
            second, bend = step.claim.lhs, sign(step.claim.rhs)
        else:
            stated = context.source(step.after).claim if step.after else None
            second = stated.lhs if isinstance(stated, Eq) else None
            bend = {0: 1 if isinstance(step.claim, Gt | Ge) else -1}.get(step.claim.rhs)
            bend = bend if isinstance(step.claim, STRICT) else None
        if not isinstance(second, Derivative) or second.variables != (self.variable,) * 2 or not bend:
            raise Failed(f"{self.curvature!r} does not say that something is convex in {to_latex(self.variable)}")
        if not self.variable.is_positive:
            raise Failed(f"nothing says where {to_latex(self.variable)} lies")
        return second.expr, bend

    def _root(self, curved: Any, context: Context) -> Any:
        if self.stationary:
            claim = context.source(self.stationary).claim
            if not isinstance(claim, Eq) or claim.lhs != StationaryPoint(curved, self.variable):
                raise Failed(f"{self.stationary!r} does not say where the derivative of {to_latex(curved)} vanishes")
            return claim.rhs
        roots = _roots(curved.diff(self.variable), self.variable)
        if len(roots) != 1:
            raise Failed(f"{to_latex(curved)} has no single minimum inside the domain")
        return roots[0]

    def _require_inside(self, root: Any, context: Context) -> None:
        unit = in_unit_interval(self.variable)
        if self.inside:
            if context.source(self.inside).claim != Gt(root * (1 - root), 0, evaluate=False):
                raise Failed(f"{self.inside!r} does not say that {to_latex(root)} is between 0 and 1")
        elif sign(root) != 1 or (unit and sign(1 - root) != 1):
            raise Failed(f"the difference has no single minimum inside the domain: it would be at {to_latex(root)}")

    def _value(self, curved: Any, root: Any, context: Context) -> Any:
        if not self.value:
            return curved.subs(self.variable, root)
        claim = context.source(self.value).claim
        if not isinstance(claim, Eq) or claim.lhs != Subs(curved, self.variable, root):
            raise Failed(f"{self.value!r} does not state the value at {to_latex(root)}")
        return claim.rhs


@dataclass(frozen=True)
class ChangeOfVariables(Alone):
    """An expectation over z of a function of G(z) is the expectation of that function over the density of G(z)."""

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        if not all(isinstance(side, Expect) for side in claim.args):
            raise Failed("both sides must be expectations")
        (noise, of_noise), (generated, of_samples) = claim.lhs.args, claim.rhs.args
        if of_noise.xreplace({G(z): x}) != of_samples or of_samples.has(z):
            raise Failed(f"with x for G(z), {to_latex(of_noise)} is not {to_latex(of_samples)}")
        if of_noise.has(x):
            raise Failed(f"{to_latex(of_noise)} depends on x, not on G(z) alone")
        return frozenset({h.Pushforward(noise, generated)})


@dataclass(frozen=True)
class OnDisjointSupports:
    """The integrals of the step `ratios`, for densities `p` and `q` of which one is zero wherever the other is not.

    `limits` names the steps that say what the integrands become where one of the two vanishes.
    """

    p: Any
    q: Any
    ratios: str
    limits: tuple[str, ...]

    @property
    def premises(self) -> tuple[str, ...]:
        return self.ratios, *self.limits

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        source = context.source(self.ratios)
        if not isinstance(source.claim, Eq) or claim.lhs != source.claim.lhs:
            raise Failed(f"its left side is not that of {self.ratios!r}")
        needs = source.assumed | {h.Disjoint(self.p, self.q)}
        total, unused = source.claim.rhs, set(self.limits)
        for whole in total.atoms(*TOTALS):
            halves = S.Zero
            for vanishing in (self.p, self.q):
                name, value = self._at_zero(whole.args[0], vanishing, context)
                unused.discard(name)
                other = self.q if vanishing == self.p else self.p
                if limit_of(to_symbols(value), to_symbols(other), S.Zero, "+") != 0:
                    raise Failed(f"{to_latex(whole)} does not vanish where both densities do")
                halves += integral(value)
            total = total.xreplace({whole: halves})
        if unused:
            raise Failed(f"it does not need {sorted(unused)[0]!r}")
        return needs | zero(total - claim.rhs, context)

    def _at_zero(self, integrand: Any, vanishing: Any, context: Context) -> tuple[str, Any]:
        for name in self.limits:
            claim = context.source(name).claim
            for densities in ((self.p, self.q), (self.q, self.p)):
                put = dict(zip((p_point, q_point), densities, strict=True))
                if isinstance(claim, Eq) and isinstance(claim.lhs, Limit):
                    expr, variable, point, _ = claim.lhs.args
                    if point == 0 and put.get(variable) == vanishing and expr.xreplace(put) == integrand:
                        return name, claim.rhs.xreplace(put)
        raise Failed(f"no limit says what {to_latex(integrand)} is where {to_latex(vanishing)} vanishes")


def unit_normal(mean: Any) -> Any:
    """The shape of N(mean, 1): its density without the factor that makes it integrate to 1."""
    return exp(-((x - mean) ** 2) / 2)


@dataclass(frozen=True)
class ByParts:
    """The gradient of E[f(x)] in the mean of a unit normal is E[f'(x)], with f written through D*.

    `shift` names the step that moves the derivative from theta to x, `discriminator` that which writes D* as a
    function of x, `slope` that which states f'.
    """

    shift: str
    discriminator: str
    slope: str

    @property
    def premises(self) -> tuple[str, ...]:
        return self.shift, self.discriminator, self.slope

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        moving = unit_normal(theta)
        if context.source(self.shift).claim != Eq(Derivative(moving, theta), -Derivative(moving, x), evaluate=False):
            raise Failed(f"{self.shift!r} does not say how the density moves")
        told = context.source(self.discriminator).claim
        data, model = unit_normal(0), unit_normal(theta_0)
        if not isinstance(told, Eq) or told.lhs != data / (data + model):
            raise Failed(f"{self.discriminator!r} does not state the optimal discriminator")
        slope = context.source(self.slope).claim
        require_equation(slope)
        if not isinstance(claim.lhs, Gradient) or not isinstance(claim.lhs.args[0], Expect):
            raise Failed("the left side must be the gradient of an expectation")
        density, loss = claim.lhs.args[0].args
        frozen = p_theta(x, theta_0)
        best = OptimalD(p_data(x), frozen)
        if density != p_theta(x, theta) or slope.lhs != Derivative(loss.xreplace({best: told.rhs}), x):
            raise Failed(f"{self.slope!r} is not the slope of {to_latex(loss)}")
        needs = zero(claim.rhs - Expect(frozen, slope.rhs.xreplace({told.rhs: best})), context)
        return needs.union({h.UnitNormals()}, *(context.source(name).assumed for name in self.premises))
