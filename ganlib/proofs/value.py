"""Proposition 1: the optimal discriminator for a fixed generator."""

from __future__ import annotations

from dataclasses import replace

from sympy import Le, Lt, S, Subs, log

from ganlib.proofs.families import PUSHFORWARDS
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
from ganlib.proofs.rules import Follows, Identity, Numerical, Use

_P, _Q = p_data(x), p_g(x)
_LEMMA_AT = ((a, _P), (b, _Q), (y, D(x)))
_PUSHFORWARD = (
    "the law of the unconscious statistician: $p_g$ is the density of $G(z)$ when $z \\sim p_z$, so an expectation "
    "over $z$ of a function of $G(z)$ is an expectation over $x \\sim p_g$."
)


def proposition_1() -> Proof:
    r"""Proof that D* = p_data / (p_data + p_g) maximises V(G, D) for a fixed G (paper, section 4.1).

    Notes
    -----
    G is arbitrary, D is any function with values in (0, 1). Points where a density vanishes are treated separately.
    """
    value, optimal_value = Value(D(x), D(G(z))), Value(OptimalD(_P, _Q), OptimalD(p_data(G(z)), p_g(G(z))))
    integrand = _P * log(D(x)) + _Q * log(1 - D(x))
    at_best = _P * log(_P / (_P + _Q)) + _Q * log(_Q / (_P + _Q))
    maximum, only = lemma().step("maximum"), lemma().step("only-maximum")
    differs = "$D(x) \\neq D^{*}(x)$ on a set of positive measure where $p_{\\mathrm{data}} + p_g > 0$."
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
            "$x \\sim p_g$. $G$ need not be invertible.",
            eq(Expect(p_z(z), log(1 - D(G(z)))), Expect(p_g(x), log(1 - D(x)))),
            Numerical(),
            assumes=(_PUSHFORWARD,),
            families=PUSHFORWARDS,
        ),
        Step(
            "one-integral",
            "Both expectations are now integrals over the same $x$ and can be written as one.",
            eq(value, integral(integrand)),
            Follows((Use("value"), Use("change-of-variables"))),
        ),
        replace(
            maximum,
            name="lemma",
            text="The integrand has the form of the lemma, which is checked again here: for $a, b > 0$ and every $y$ "
            "in $(0, 1)$, the bound on the right is the value at $y = \\frac{a}{a+b}$.",
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
            Follows((Use("one-integral", at=((D, lambda u: OptimalD(p_data(u), p_g(u))),)),)),
        ),
        Step(
            "conclusion",
            "So no discriminator does better than $D^{*}$.",
            Le(value, optimal_value, evaluate=False),
            Follows((Use("bound"), Use("attained"))),
            families=PUSHFORWARDS,
        ),
        replace(only, name="lemma-strict", text="The lemma's maximiser is unique: any other $y$ gives strictly less."),
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
            assumes=(differs,),
        ),
        replace(
            lemma().step("zero-a"),
            name="no-data",
            text="Where $p_{\\mathrm{data}}(x) = 0 < p_g(x)$, the integrand is $b \\log(1 - y)$ with $b = p_g(x)$ and "
            "$y = D(x)$. Its supremum is $0$, at $y = 0 = D^{*}(x)$.",
        ),
        replace(
            lemma().step("zero-b"),
            name="only-data",
            text="Where $p_g(x) = 0 < p_{\\mathrm{data}}(x)$, it is $a \\log y$ with $a = p_{\\mathrm{data}}(x)$. Its "
            "supremum is $0$, at $y = 1 = D^{*}(x)$.",
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
    )
