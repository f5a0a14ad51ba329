"""Theorem 1: the criterion C(G) is -log 4 + 2 JSD, and is smallest exactly where p_g = p_data."""

from __future__ import annotations

from sympy import Derivative, Ge, Gt, Limit, log

from ganlib.proofs.calculus import Convexity, LimitValue
from ganlib.proofs.follows import Follows, Use
from ganlib.proofs.hypotheses import Apart, Differ, Normalised
from ganlib.proofs.kernel import Proof, Step
from ganlib.proofs.lemma import eq
from ganlib.proofs.notation import JSD, KL, Criterion, Expect, Mixture, integral, p_data, p_g, t, x
from ganlib.proofs.rules import Chain, Identity

P, Q = p_data(x), p_g(x)
M = Mixture(P, Q)
NORMALISED = Normalised(P), Normalised(Q)
DIFFERENT = Differ(P, Q)
PHI = t * log(t) - t + 1


def gibbs_steps() -> tuple[Step, ...]:
    """The steps that show KL(p_data, m) >= 0 and KL(p_g, m) >= 0, strictly so where p_data and p_g differ."""
    steps = [
        Step(
            "phi-convex",
            "Why is a divergence never negative? Look at $\\varphi(t) = t \\log t - t + 1$ for $t > 0$. Its second "
            "derivative is positive, so $\\varphi$ is strictly convex.",
            eq(Derivative(PHI, (t, 2)), 1 / t),
            Identity(),
        ),
        Step(
            "phi-inequality",
            "Its derivative $\\log t$ vanishes only at $t = 1$, where $\\varphi(1) = 0$. So $0$ is its minimum.",
            Ge(PHI, 0, evaluate=False),
            Convexity(t, curvature="phi-convex"),
        ),
        Step(
            "phi-strict",
            "A strictly convex function has one minimiser, so away from $t = 1$ it is positive.",
            Gt(PHI, 0, evaluate=False),
            Convexity(t, curvature="phi-convex"),
            assumes=(Apart(t, 1),),
        ),
        Step(
            "phi-at-zero",
            "Where a density vanishes, $t = 0$ stands for the limit, which is positive too.",
            eq(Limit(PHI, t, 0, "+"), 1),
            LimitValue(),
        ),
    ]
    for density, name, symbol in ((P, "data", "p_{\\mathrm{data}}"), (Q, "generator", "p_g")):
        steps += [
            Step(
                f"pointwise-{name}",
                f"Put $t = \\frac{{{symbol}(x)}}{{m(x)}}$ in $\\varphi(t) \\geq 0$ and multiply by $m(x) > 0$.",
                Ge(density * log(density / M) - density + M, 0, evaluate=False),
                Follows((Use("phi-inequality", weight=M, at=((t, density / M),)),)),
            ),
            Step(
                f"divergence-{name}",
                f"Integrate over $x$. The terms $-{symbol} + m$ integrate to $-1 + 1 = 0$, and Gibbs' inequality "
                "remains.",
                Ge(KL(density, M), 0, evaluate=False),
                Follows((Use(f"pointwise-{name}", integrate=True),)),
                assumes=NORMALISED,
            ),
        ]
    return tuple(steps)


def global_optimum() -> Proof:
    r"""Proof that C(G) = -log 4 + 2 JSD(p_data, p_g), at least -log 4, with equality only for p_g = p_data.

    Notes
    -----
    Theorem 1 of the paper (section 4.1), for arbitrary densities. Gibbs' inequality is not assumed: it is the integral
    of t log t - t + 1 >= 0.
    """
    start = Criterion(P, Q)
    expectations = Expect(P, log(P / (P + Q))) + Expect(Q, log(Q / (P + Q)))
    integrals = integral(P * log(P / (P + Q))) + integral(Q * log(Q / (P + Q)))
    mixture = integral(P * log(P / (2 * M))) + integral(Q * log(Q / (2 * M)))
    split = integral(P * (log(P / M) - log(2))) + integral(Q * (log(Q / M) - log(2)))
    masses = integral(P * log(P / M)) + integral(Q * log(Q / M)) - log(2) * integral(P) - log(2) * integral(Q)
    normalised = -log(4) + integral(P * log(P / M)) + integral(Q * log(Q / M))
    divergences = -log(4) + KL(P, M) + KL(Q, M)
    final = -log(4) + 2 * JSD(P, Q)
    strict = tuple(Use("phi-strict", weight=M, at=((t, density / M),), integrate=True) for density in (P, Q))
    chain = (
        Step(
            "criterion",
            "Equation 4 of the paper: $C(G)$ is the value at the optimal discriminator of Proposition 1.",
            eq(start, expectations),
            Identity(),
        ),
        Step(
            "integrals",
            "Write the expectations as integrals.",
            eq(expectations, integrals),
            Identity(),
            after="criterion",
        ),
        Step(
            "mixture-definition",
            "Let $m$ be the mixture of the two densities, half of each.",
            eq(M, (P + Q) / 2),
            Identity(),
        ),
        Step(
            "mixture",
            "Multiply and divide by 2: $p_{\\mathrm{data}} + p_g = 2m$.",
            eq(integrals, mixture),
            Identity(),
            after="integrals",
        ),
        Step(
            "split-logarithms",
            "Split the factor 2 off each logarithm.",
            eq(mixture, split),
            Identity(),
            after="mixture",
        ),
        Step(
            "linearity",
            "Integrals are linear. Each piece is integrable: $p \\log \\frac{p}{m}$ lies between $p - m$ and $p \\log "
            "2$.",
            eq(split, masses),
            Identity(),
            after="split-logarithms",
        ),
        Step(
            "normalisation",
            "Each density integrates to 1, and $-\\log 2 - \\log 2 = -\\log 4$.",
            eq(masses, normalised),
            Identity(),
            assumes=NORMALISED,
            after="linearity",
        ),
        Step(
            "divergences",
            "The two integrals are Kullback-Leibler divergences to the mixture. Neither is a divergence between "
            "$p_{\\mathrm{data}}$ and $p_g$.",
            eq(normalised, divergences),
            Identity(),
            after="normalisation",
        ),
        Step(
            "half-the-sum",
            "Half their sum is, by definition, the Jensen-Shannon divergence.",
            eq(divergences, final),
            Identity(),
            after="divergences",
        ),
        Step(
            "conclusion",
            "Reading the chain from its first line to its last:",
            eq(start, final),
            Chain("criterion", "half-the-sum"),
            assumes=NORMALISED,
        ),
    )
    optimum = (
        Step(
            "lower-bound",
            "Both divergences are nonnegative, so $C(G)$ is bounded below.",
            Ge(start, -log(4), evaluate=False),
            Follows((Use("conclusion"), Use("divergence-data"), Use("divergence-generator"))),
            assumes=NORMALISED,
        ),
        Step(
            "attained",
            "If $p_g = p_{\\mathrm{data}}$, both logarithms are $\\log \\frac12$ and the bound is reached.",
            eq(Criterion(P, P), -log(4)),
            Identity(),
            assumes=(Normalised(P),),
        ),
        Step(
            "only-there",
            "If they differ, then $\\frac{p_{\\mathrm{data}}}{m} \\neq 1$ where they do, and $\\varphi > 0$ there. An "
            "integral of a nonnegative function that is positive on a set of positive measure is positive.",
            Gt(start, -log(4), evaluate=False),
            Follows((Use("conclusion"), *strict)),
            assumes=(DIFFERENT, *NORMALISED),
        ),
    )
    return Proof(
        "global_optimum",
        "Theorem 1: the global optimum",
        "For every generator,\n\n$$\n"
        "\\begin{aligned}\nC(G) & = \\max_D V(G, D) \\\\\n"
        "& = -\\log 4 + 2 \\operatorname{JSD}(p_{\\mathrm{data}} \\,\\|\\, p_g) \\\\\n& \\geq -\\log 4,\n"
        "\\end{aligned}\n$$\n\n"
        "with equality if and only if $p_g = p_{\\mathrm{data}}$ almost everywhere. Integrals run over the whole space "
        "of $x$; for discrete $x$ read them as sums.",
        (*chain, *gibbs_steps(), *optimum),
        results=("mixture-definition", "conclusion", "phi-at-zero", "lower-bound", "attained", "only-there"),
    )
