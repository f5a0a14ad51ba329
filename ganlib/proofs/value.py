"""Proposition 1: the optimal discriminator for a fixed generator."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Le, Lt, S, Subs, log

from ganlib.proofs.calculus import ChangeOfVariables
from ganlib.proofs.follows import Follows, Use
from ganlib.proofs.hypotheses import Differ, Pushforward
from ganlib.proofs.kernel import Proof, Step
from ganlib.proofs.lemma import eq, lemma
from ganlib.proofs.notation import (
    D,
    Expect,
    G,
    OptimalD,
    Value,
    a,
    b,
    integral,
    p_data,
    p_g,
    p_z,
    x,
    y,
    z,
)
from ganlib.proofs.rules import Identity, Theorem

_P, _Q = p_data(x), p_g(x)
_LEMMA_AT = ((a, _P), (b, _Q), (y, D(x)))
_PUSHFORWARD = Pushforward(p_z(z), _Q)


def _best(u: object) -> object:
    return OptimalD(p_data(u), p_g(u))


def _value(discriminator: Callable[[object], object]) -> object:
    return Value(_P, p_z(z), discriminator(x), discriminator(G(z)))


def proposition_1() -> Proof:
    r"""Proof that D* = p_data / (p_data + p_g) maximises V(G, D) for a fixed G (paper, section 4.1).

    Notes
    -----
    G is arbitrary, D is any function with values in (0, 1). Points where a density vanishes are treated separately.
    """
    value, optimal_value = _value(D), _value(_best)
    integrand = _P * log(D(x)) + _Q * log(1 - D(x))
    at_best = _P * log(_P / (_P + _Q)) + _Q * log(_Q / (_P + _Q))
    bracket = lemma()
    steps = (
        Step(
            "value",
            "Equation 1 of the paper. The first expectation is over data, the second over the noise $z$ that $G$ turns "
            "into samples.",
            eq(value, Expect(_P, log(D(x))) + Expect(p_z(z), log(1 - D(G(z))))),
            Identity(),
        ),
        Step(
            "change-of-variables",
            "Samples $x = G(z)$ have, by definition, the density $p_g$. So the second expectation can be taken over "
            "$x \\sim p_g$ (the law of the unconscious statistician). $G$ need not be invertible.",
            eq(Expect(p_z(z), log(1 - D(G(z)))), Expect(p_g(x), log(1 - D(x)))),
            ChangeOfVariables(),
            assumes=(_PUSHFORWARD,),
        ),
        Step(
            "one-integral",
            "Both expectations are now integrals over the same $x$ and can be written as one.",
            eq(value, integral(integrand)),
            Follows((Use("value"), Use("change-of-variables"))),
            assumes=(_PUSHFORWARD,),
        ),
        Step(
            "lemma",
            "The integrand has the form of the lemma: for $a, b > 0$ and every $y$ in $(0, 1)$, the bound on the right "
            "is the value at $y = \\frac{a}{a+b}$.",
            bracket.step("maximum").claim,
            Theorem(bracket, "maximum"),
        ),
        Step(
            "pointwise",
            "$V$ puts no constraint between the values of $D$ at different $x$. So fix one $x$ with both densities "
            "positive and apply the lemma with $a = p_{\\mathrm{data}}(x)$, $b = p_g(x)$, $y = D(x)$.",
            Le(integrand, at_best, evaluate=False),
            Follows((Use("lemma", at=_LEMMA_AT),)),
        ),
        Step(
            "bound",
            "Integrating over $x$ keeps the inequality. The right side does not depend on $D$.",
            Le(value, integral(at_best), evaluate=False),
            Follows((Use("one-integral", weight=S.NegativeOne), Use("pointwise", integrate=True))),
            assumes=(_PUSHFORWARD,),
        ),
        Step(
            "optimal-discriminator",
            "Where the lemma attains its maximum, $y = \\frac{a}{a+b}$, defines the optimal discriminator.",
            eq(OptimalD(_P, _Q), _P / (_P + _Q)),
            Identity(),
        ),
        Step(
            "attained",
            "With $D = D^{*}$ the bound is reached, because $1 - D^{*}(x) = \\frac{p_g(x)}{p_{\\mathrm{data}}(x) + "
            "p_g(x)}$.",
            eq(optimal_value, integral(at_best)),
            Follows((Use("one-integral", at=((D, _best),)),)),
            assumes=(_PUSHFORWARD,),
        ),
        Step(
            "conclusion",
            "So no discriminator does better than $D^{*}$.",
            Le(value, optimal_value, evaluate=False),
            Follows((Use("bound"), Use("attained"))),
            assumes=(_PUSHFORWARD,),
        ),
        Step(
            "lemma-strict",
            "The lemma's maximiser is unique: any other $y$ gives strictly less.",
            bracket.step("only-maximum").claim,
            Theorem(bracket, "only-maximum"),
            assumes=bracket.step("only-maximum").assumes,
        ),
        Step(
            "unique",
            "So a discriminator that differs from $D^{*}$ where there is mass does strictly worse.",
            Lt(value, optimal_value, evaluate=False),
            Follows(
                (
                    Use("one-integral", weight=S.NegativeOne),
                    Use("lemma-strict", at=_LEMMA_AT, integrate=True),
                    Use("attained"),
                )
            ),
            assumes=(Differ(D(x), OptimalD(_P, _Q)), _PUSHFORWARD),
        ),
        Step(
            "no-data",
            "Where $p_{\\mathrm{data}}(x) = 0 < p_g(x)$, the integrand is $b \\log(1 - y)$ with $b = p_g(x)$ and "
            "$y = D(x)$. Its supremum is $0$, at $y = 0 = D^{*}(x)$.",
            bracket.step("zero-a").claim,
            Theorem(bracket, "zero-a"),
        ),
        Step(
            "only-data",
            "Where $p_g(x) = 0 < p_{\\mathrm{data}}(x)$, it is $a \\log y$ with $a = p_{\\mathrm{data}}(x)$. Its "
            "supremum is $0$, at $y = 1 = D^{*}(x)$.",
            bracket.step("zero-b").claim,
            Theorem(bracket, "zero-b"),
        ),
        Step(
            "neither",
            "Where both vanish, the integrand is $0$ whatever $D$ is. $V$ says nothing about $D$ there: $D^{*}$ is "
            "determined only on the union of the two supports.",
            eq(Subs(a * log(y) + b * log(1 - y), (a, b), (0, 0)), 0),
            Identity(),
        ),
    )
    return Proof(
        "proposition_1",
        "Proposition 1: the optimal discriminator",
        "For a fixed generator $G$, the value function $V(G, D)$ is largest at\n\n$$\n"
        "D^{*}(x) = \\frac{p_{\\mathrm{data}}(x)}{p_{\\mathrm{data}}(x) + p_g(x)} .\n$$",
        steps,
        results=("optimal-discriminator", "conclusion", "unique", "no-data", "only-data", "neither"),
    )
