"""The Jensen-Shannon divergence lies between 0 and log 2, and when it reaches each end."""

from __future__ import annotations

from sympy import Ge, Gt, Le, Limit, Lt, Rational, S, log

from ganlib.proofs.calculus import LimitValue, OnDisjointSupports
from ganlib.proofs.follows import Follows, Use
from ganlib.proofs.hypotheses import Disjoint, Overlap, Positive
from ganlib.proofs.kernel import Proof, Step
from ganlib.proofs.lemma import eq
from ganlib.proofs.notation import JSD, integral, p_point, q_point
from ganlib.proofs.optimum import DIFFERENT, NORMALISED, P, Q, global_optimum
from ganlib.proofs.rules import Identity, Sign, Theorem

_BOTH = Positive(P), Positive(Q)
_HALF = Rational(1, 2)


def _upper_steps() -> tuple[Step, ...]:
    gap = log(2) - JSD(P, Q)
    deficit = P * log((P + Q) / P) + Q * log((P + Q) / Q)
    in_ratio = _HALF * integral(P * log(2 * P / (P + Q))) + _HALF * integral(Q * log(2 * Q / (P + Q)))
    return (
        Step(
            "ratios",
            "Now the upper end. Put $m = \\frac12 (p_{\\mathrm{data}} + p_g)$ into the two divergences.",
            eq(JSD(P, Q), in_ratio),
            Identity(),
        ),
        Step(
            "pointwise-data-log-2",
            "Where both densities are positive, $\\frac{p_{\\mathrm{data}}}{p_{\\mathrm{data}} + p_g}$ is below one. "
            "So the logarithm is below $\\log 2$, and the first integrand below $p_{\\mathrm{data}}(x) \\log 2$.",
            Lt(P * log(2 * P / (P + Q)), P * log(2), evaluate=False),
            Sign(),
            assumes=_BOTH,
        ),
        Step(
            "pointwise-generator-log-2",
            "The second is below $p_g(x) \\log 2$ in the same way.",
            Lt(Q * log(2 * Q / (P + Q)), Q * log(2), evaluate=False),
            Sign(),
            assumes=_BOTH,
        ),
        Step(
            "where-only-data",
            "Where $p_g(x) = 0$ the first fraction is exactly one: the integrand equals its bound.",
            eq(Limit(p_point * log(2 * p_point / (p_point + q_point)), q_point, 0, "+"), p_point * log(2)),
            LimitValue(),
        ),
        Step(
            "where-no-generator-mass",
            "The second integrand contributes nothing there, since $u \\log u \\to 0$.",
            eq(Limit(q_point * log(2 * q_point / (p_point + q_point)), q_point, 0, "+"), 0),
            LimitValue(),
        ),
        Step(
            "upper-bound",
            "So the bound holds at every $x$. Integrate: each density has mass 1, and two halves of $\\log 2$ are one.",
            Le(JSD(P, Q), log(2), evaluate=False),
            Follows(
                (
                    Use("ratios", weight=S.NegativeOne),
                    Use("pointwise-data-log-2", weight=_HALF, integrate=True),
                    Use("pointwise-generator-log-2", weight=_HALF, integrate=True),
                ),
            ),
            assumes=NORMALISED,
        ),
        Step(
            "deficit",
            "What is missing from $\\log 2$ can be written down, using normalisation once more.",
            eq(gap, _HALF * integral(deficit)),
            Identity(),
            assumes=NORMALISED,
        ),
        Step(
            "overlap",
            "Both fractions are above one wherever both densities are positive, and so both logarithms are positive.",
            Gt(deficit, 0, evaluate=False),
            Sign(),
            assumes=_BOTH,
        ),
        Step(
            "strict-upper-bound",
            "So if the supports overlap, the divergence stays below $\\log 2$.",
            Lt(JSD(P, Q), log(2), evaluate=False),
            Follows((Use("deficit"), Use("overlap", weight=_HALF, integrate=True))),
            assumes=(Overlap(P, Q), *NORMALISED),
        ),
        Step(
            "disjoint",
            "If they do not overlap, the divergence is $\\log 2$, however near or far the supports are. This is why it "
            "gives a generator no direction to move in.",
            eq(JSD(P, Q), log(2)),
            OnDisjointSupports(P, Q, ratios="ratios", limits=("where-only-data", "where-no-generator-mass")),
            assumes=(Disjoint(P, Q), *NORMALISED),
        ),
    )


def jsd_bounds() -> Proof:
    """Proof that 0 <= JSD <= log 2: 0 only for equal densities, log 2 only for disjoint supports.

    Notes
    -----
    The paper (section 4.1) uses the lower end. The upper end is why the divergence says nothing about distance once
    the supports are disjoint (Arjovsky & Bottou, 2017, section 2).
    """
    theorem = global_optimum()
    half = Use("theorem-1", -_HALF)
    lower = (
        Step(
            "theorem-1",
            "Start from Theorem 1: the criterion is the divergence, up to two constants.",
            theorem.step("conclusion").claim,
            Theorem(theorem, "conclusion"),
            assumes=NORMALISED,
        ),
        Step(
            "theorem-1-bound",
            "It is at least $-\\log 4$.",
            theorem.step("lower-bound").claim,
            Theorem(theorem, "lower-bound"),
            assumes=NORMALISED,
        ),
        Step(
            "lower-bound",
            "So twice the divergence is at least $-\\log 4 + \\log 4$.",
            Ge(JSD(P, Q), 0, evaluate=False),
            Follows((half, Use("theorem-1-bound", _HALF))),
            assumes=NORMALISED,
        ),
        Step(
            "zero-when-equal",
            "For equal densities the mixture is the density itself, and every logarithm is $\\log 1$.",
            eq(JSD(P, P), 0),
            Identity(),
        ),
        Step(
            "theorem-1-only-there",
            "If they differ, the criterion is above $-\\log 4$.",
            theorem.step("only-there").claim,
            Theorem(theorem, "only-there"),
            assumes=(DIFFERENT, *NORMALISED),
        ),
        Step(
            "positive-otherwise",
            "So the divergence is zero only for densities that are equal almost everywhere.",
            Gt(JSD(P, Q), 0, evaluate=False),
            Follows((half, Use("theorem-1-only-there", _HALF))),
            assumes=(DIFFERENT, *NORMALISED),
        ),
        Step(
            "symmetry",
            "The mixture does not care which density comes first, so neither does the divergence.",
            eq(JSD(P, Q), JSD(Q, P)),
            Identity(),
        ),
    )
    return Proof(
        "jsd_bounds",
        "The Jensen-Shannon divergence lies in [0, log 2]",
        "For any two densities,\n\n$$\n"
        "0 \\leq \\operatorname{JSD}(p_{\\mathrm{data}} \\,\\|\\, p_g) \\leq \\log 2 .\n$$\n\n"
        "It is $0$ if and only if the densities are equal almost everywhere, and $\\log 2$ if and only if their "
        "supports are disjoint.",
        (*lower, *_upper_steps()),
        results=(
            "lower-bound",
            "zero-when-equal",
            "positive-otherwise",
            "symmetry",
            "upper-bound",
            "strict-upper-bound",
            "disjoint",
        ),
    )
