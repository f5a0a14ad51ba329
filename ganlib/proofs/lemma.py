"""The pointwise lemma behind Proposition 1: where y -> a log y + b log(1 - y) is largest."""

from __future__ import annotations

from sympy import Derivative, Eq, Ge, Gt, Le, Limit, Lt, Subs, log, oo

from ganlib.proofs.calculus import Convexity, LimitValue, Root
from ganlib.proofs.hypotheses import Apart
from ganlib.proofs.kernel import Proof, Step
from ganlib.proofs.notation import StationaryPoint, a, b, y
from ganlib.proofs.rules import Identity, Sign


def eq(left: object, right: object) -> object:
    """An equation that SymPy does not evaluate, so that it is displayed and checked as written."""
    return Eq(left, right, evaluate=False)


def lemma() -> Proof:
    r"""Proof that a log y + b log(1 - y) is largest at a / (a + b), for a, b >= 0 that are not both 0.

    Notes
    -----
    The step inside the proof of Proposition 1 (paper, section 4.1). The paper states it for (a, b) in R^2 without the
    origin; the last steps show why the signs matter.
    """
    f = a * log(y) + b * log(1 - y)
    best = a / (a + b)
    slope, curvature = a / y - b / (1 - y), -a / y**2 - b / (1 - y) ** 2
    at_best = a * log(best) + b * log(b / (a + b))
    flipped = -log(y) - log(1 - y)
    peak = Convexity(y, curvature="concave", stationary="stationary-point", inside="inside", value="value")
    steps = (
        Step(
            "derivative",
            "For $a, b > 0$ and $0 < y < 1$, differentiate each logarithm. The minus sign is the chain rule on $1 - "
            "y$.",
            eq(Derivative(f, y), slope),
            Identity(),
        ),
        Step(
            "stationary-point",
            "Setting the derivative to zero gives $a(1 - y) = b\\,y$. This is linear in $y$, so there is exactly one "
            "stationary point.",
            eq(StationaryPoint(f, y), best),
            Root(of="derivative"),
        ),
        Step(
            "inside",
            "The point lies inside the interval, because $a$ and $b$ are both positive.",
            Gt(best * (1 - best), 0, evaluate=False),
            Sign(),
        ),
        Step(
            "second-derivative",
            "Differentiate again to see whether the point is a maximum or a minimum.",
            eq(Derivative(f, (y, 2)), curvature),
            Identity(),
        ),
        Step(
            "concave",
            "It is negative at every $y$ in $(0, 1)$, not only at the stationary point.",
            Lt(curvature, 0, evaluate=False),
            Sign(),
            after="second-derivative",
        ),
        Step(
            "value",
            "The value at the stationary point follows from $1 - \\frac{a}{a+b} = \\frac{b}{a+b}$.",
            eq(Subs(f, y, best), at_best),
            Identity(),
        ),
        Step(
            "maximum",
            "A concave function lies below its value at a stationary point. So for every $y$ in $(0, 1)$:",
            Le(f, at_best, evaluate=False),
            peak,
        ),
        Step(
            "only-maximum",
            "The curvature is strictly negative, so the inequality is strict at every other $y$: the maximiser is "
            "unique.",
            Lt(f, at_best, evaluate=False),
            peak,
            assumes=(Apart(y, best),),
        ),
        Step(
            "left-boundary",
            "No maximum hides at an end. At the left one $a \\log y$ pulls the function down without bound.",
            eq(Limit(f, y, 0, "+"), -oo),
            LimitValue(),
        ),
        Step(
            "right-boundary",
            "At the right one $b \\log(1 - y)$ does the same.",
            eq(Limit(f, y, 1, "-"), -oo),
            LimitValue(),
        ),
        Step(
            "zero-a",
            "Now let $a = 0$ and $b > 0$. Only $b \\log(1 - y)$ remains, and it is negative everywhere inside.",
            Lt(b * log(1 - y), 0, evaluate=False),
            Sign(),
        ),
        Step(
            "zero-a-supremum",
            "It rises to its supremum $0$ as $y \\to 0$. That is again $y = \\frac{a}{a+b} = 0$, now at the boundary.",
            eq(Limit(b * log(1 - y), y, 0, "+"), 0),
            LimitValue(),
        ),
        Step(
            "zero-b",
            "In the same way, for $b = 0$ and $a > 0$ only $a \\log y$ remains, which is negative inside.",
            Lt(a * log(y), 0, evaluate=False),
            Sign(),
        ),
        Step(
            "zero-b-supremum",
            "It rises to its supremum $0$ as $y \\to 1 = \\frac{a}{a+b}$.",
            eq(Limit(a * log(y), y, 1, "-"), 0),
            LimitValue(),
        ),
        Step(
            "signs-matter",
            "Nonnegativity is needed. Take $a = b = -1$: the formula still gives $\\frac{a}{a+b} = \\frac12$, but the "
            "second derivative is positive.",
            eq(Derivative(flipped, (y, 2)), 1 / y**2 + 1 / (1 - y) ** 2),
            Identity(),
        ),
        Step(
            "signs-matter-minimum",
            "So $y = \\frac12$, where the function equals $\\log 4$, is its *minimum*. Densities are nonnegative, so "
            "Proposition 1 is not affected.",
            Ge(flipped, log(4), evaluate=False),
            Convexity(y, curvature="signs-matter"),
        ),
    )
    return Proof(
        "lemma",
        "Lemma: the pointwise maximum",
        "For $a, b \\geq 0$, not both zero, the function $y \\mapsto a \\log y + b \\log(1 - y)$ on $(0, 1)$ has its "
        "supremum at $y = \\frac{a}{a + b}$. If both are positive, this is its unique maximiser. For negative $a$ and "
        "$b$ it is not.",
        steps,
        results=(
            "maximum",
            "only-maximum",
            "left-boundary",
            "right-boundary",
            "zero-a",
            "zero-a-supremum",
            "zero-b",
            "zero-b-supremum",
            "signs-matter-minimum",
        ),
    )
