"""What the generator's gradient follows when the discriminator is optimal and held fixed."""

from __future__ import annotations

from sympy import Derivative, S, exp, log

from ganlib.proofs.calculus import ByParts, unit_normal
from ganlib.proofs.follows import Follows, Use
from ganlib.proofs.hypotheses import Normalised, Smooth, UnitNormals
from ganlib.proofs.kernel import Proof, Step
from ganlib.proofs.lemma import eq
from ganlib.proofs.notation import JSD, KL, Expect, Gradient, OptimalD, integral, p_data, p_theta, theta, theta_0, x
from ganlib.proofs.rules import Chain, Identity

DATA, MODEL = p_data(x), p_theta(x, theta)
FROZEN_MODEL = p_theta(x, theta_0)
SLOPE = Derivative(FROZEN_MODEL, theta_0)
FROZEN_D = OptimalD(DATA, FROZEN_MODEL)
SMOOTH = Smooth(MODEL)
MASS_IS_KEPT = Normalised(MODEL), SMOOTH


def _gaussian_steps() -> tuple[Step, ...]:
    """Closed forms for data N(0, 1) and generator N(theta, 1): why one loss saturates and the other does not."""
    data, model, moving = unit_normal(0), unit_normal(theta_0), unit_normal(theta)
    sigmoid = 1 / (1 + exp(theta_0 * x - theta_0**2 / 2))
    on_samples = Expect(FROZEN_MODEL, FROZEN_D)
    return (
        Step(
            "gaussian-discriminator",
            "An example: data $N(0, 1)$, generator $N(\\theta, 1)$. The common factor $\\frac{1}{\\sqrt{2\\pi}}$ "
            "cancels, and $D^{*}$ is a sigmoid that falls from the data towards the samples (for $\\theta_0 > 0$).",
            eq(data / (data + model), sigmoid),
            Identity(),
        ),
        Step(
            "gaussian-shift",
            "Moving the mean shifts the density: its derivative in $\\theta$ is minus its derivative in $x$. So "
            "integration by parts turns $\\int f\\, \\partial_{\\theta}\\, p_{\\theta}\\,dx$ into "
            "$\\mathbb{E}_{x \\sim p_{\\theta}}[f'(x)]$.",
            eq(Derivative(moving, theta), -Derivative(moving, x)),
            Identity(),
        ),
        Step(
            "gaussian-saturating-slope",
            "The slope of the saturating loss is proportional to $D^{*}$ itself.",
            eq(Derivative(log(1 - sigmoid), x), theta_0 * sigmoid),
            Identity(),
        ),
        Step(
            "gaussian-saturating",
            "So its gradient is an average of $D^{*}$ over the samples. When the discriminator rejects the samples, "
            "$D^{*}$ is near $0$ on them and so is the gradient: the loss saturates.",
            eq(Gradient(Expect(MODEL, log(1 - FROZEN_D))), theta_0 * on_samples),
            ByParts("gaussian-shift", "gaussian-discriminator", "gaussian-saturating-slope"),
            assumes=(UnitNormals(), SMOOTH),
        ),
        Step(
            "gaussian-nonsaturating-slope",
            "The slope of $-\\log D^{*}$ is proportional to $1 - D^{*}$.",
            eq(Derivative(-log(sigmoid), x), theta_0 * (1 - sigmoid)),
            Identity(),
        ),
        Step(
            "gaussian-nonsaturating",
            "Its gradient approaches $\\theta_0$ when the discriminator rejects the samples: it grows with the "
            "distance to the data.",
            eq(Gradient(Expect(MODEL, -log(FROZEN_D))), theta_0 * (1 - on_samples)),
            ByParts("gaussian-shift", "gaussian-discriminator", "gaussian-nonsaturating-slope"),
            assumes=(UnitNormals(), *MASS_IS_KEPT),
        ),
    )


def frozen_discriminator() -> Proof:
    r"""Proof that, with D* frozen at theta_0, grad E[-log D*] = grad (KL(p_theta, p_data) - 2 JSD(p_theta, p_data)).

    Notes
    -----
    Arjovsky & Bottou, "Towards Principled Methods for Training Generative Adversarial Networks" (2017), Theorem 2.5,
    for an arbitrary p_theta; and its companion for the saturating loss log(1 - D*).
    """
    saturating, non_saturating = Expect(MODEL, log(1 - FROZEN_D)), Expect(MODEL, -log(FROZEN_D))
    kl, jsd = KL(MODEL, DATA), JSD(MODEL, DATA)
    mixed = DATA + FROZEN_MODEL
    steps = (
        Step(
            "frozen",
            "The discriminator is optimal for the generator at $\\theta_0$ and then held fixed: it contains "
            "$\\theta_0$, not $\\theta$.",
            eq(FROZEN_D, DATA / mixed),
            Identity(),
        ),
        Step(
            "saturating-gradient",
            "Start with the loss of the minimax game, $\\log(1 - D^{*})$. Only the density that the expectation is "
            "taken under moves with $\\theta$.",
            eq(Gradient(saturating), integral(SLOPE * log(FROZEN_MODEL / mixed))),
            Identity(),
            assumes=(SMOOTH,),
        ),
        Step(
            "jsd-gradient",
            "Differentiate $2\\operatorname{JSD}$. Differentiating inside its logarithms gives $\\partial_{\\theta}\\, "
            "p_{\\theta_0}$ times $1 - \\frac{p_{\\theta_0}}{p_{\\mathrm{data}} + p_{\\theta_0}} - "
            "\\frac{p_{\\mathrm{data}}}{p_{\\mathrm{data}} + p_{\\theta_0}} = 0$, so only the logarithm remains.",
            eq(Gradient(2 * jsd), integral(SLOPE * log(2 * FROZEN_MODEL / mixed))),
            Identity(),
            assumes=(SMOOTH,),
        ),
        Step(
            "jsd-constant",
            "The factor 2 adds $\\log 2$ times the integral of $\\partial_{\\theta}\\, p_{\\theta_0}$, which is zero: "
            "a density moves mass, it does not create any.",
            eq(integral(SLOPE * log(2 * FROZEN_MODEL / mixed)), integral(SLOPE * log(FROZEN_MODEL / mixed))),
            Identity(),
            assumes=MASS_IS_KEPT,
        ),
        Step(
            "saturating-identity",
            "Both gradients are the same integral. The saturating loss follows the Jensen-Shannon divergence, although "
            "its discriminator is frozen.",
            eq(Gradient(saturating), Gradient(2 * jsd)),
            Follows(
                (Use("saturating-gradient"), Use("jsd-gradient", S.NegativeOne), Use("jsd-constant", S.NegativeOne))
            ),
            assumes=MASS_IS_KEPT,
        ),
        Step(
            "kl-gradient",
            "Now the Kullback-Leibler divergence from generator to data (the reverse one). The product rule gives the "
            "logarithm and a 1.",
            eq(Gradient(kl), integral(SLOPE * (log(FROZEN_MODEL / DATA) + 1))),
            Identity(),
            assumes=(SMOOTH,),
        ),
        Step(
            "kl-constant",
            "The 1 integrates to zero, again because mass is kept.",
            eq(integral(SLOPE * (log(FROZEN_MODEL / DATA) + 1)), integral(SLOPE * log(FROZEN_MODEL / DATA))),
            Identity(),
            assumes=MASS_IS_KEPT,
        ),
        Step(
            "difference",
            "Subtract. In the difference of the logarithms $p_{\\theta_0}$ cancels.",
            eq(Gradient(kl - 2 * jsd), integral(SLOPE * log(mixed / DATA))),
            Follows(
                (
                    Use("kl-gradient"),
                    Use("kl-constant"),
                    Use("jsd-gradient", S.NegativeOne),
                    Use("jsd-constant", S.NegativeOne),
                ),
            ),
            assumes=MASS_IS_KEPT,
        ),
        Step(
            "optimal-discriminator",
            "The remaining fraction is $\\frac{1}{D^{*}}$.",
            eq(integral(SLOPE * log(mixed / DATA)), -integral(SLOPE * log(FROZEN_D))),
            Identity(),
            after="difference",
        ),
        Step(
            "nonsaturating-gradient",
            "That is the gradient of the non-saturating loss $-\\log D^{*}$, again with only the density moving.",
            eq(-integral(SLOPE * log(FROZEN_D)), Gradient(non_saturating)),
            Identity(),
            assumes=(SMOOTH,),
            after="optimal-discriminator",
        ),
        Step(
            "conclusion",
            "Reading the last three lines as one. The Jensen-Shannon divergence enters with a *minus* sign: taken "
            "alone, that term would push the two densities apart.",
            eq(Gradient(kl - 2 * jsd), Gradient(non_saturating)),
            Chain("difference", "nonsaturating-gradient"),
            assumes=MASS_IS_KEPT,
        ),
        *_gaussian_steps(),
    )
    return Proof(
        "frozen_discriminator",
        "The gradient with a frozen optimal discriminator",
        "Let $D^{*}_{\\theta_0}$ be optimal for the generator density $p_{\\theta_0}$. At $\\theta = "
        "\\theta_0$,\n\n$$\n"
        "\\nabla_{\\theta}\\, \\mathbb{E}_{x \\sim p_{\\theta}}\\left[-\\log D^{*}_{\\theta_0}(x)\\right] = "
        "\\nabla_{\\theta} \\left( \\operatorname{KL}(p_{\\theta} \\,\\|\\, p_{\\mathrm{data}}) - "
        "2 \\operatorname{JSD}(p_{\\theta} \\,\\|\\, p_{\\mathrm{data}}) \\right),\n$$\n\n"
        "while the loss $\\log(1 - D^{*}_{\\theta_0})$ has the gradient of "
        "$2 \\operatorname{JSD}(p_{\\theta} \\,\\|\\, p_{\\mathrm{data}})$.",
        steps,
        results=("frozen", "saturating-identity", "conclusion", "gaussian-saturating", "gaussian-nonsaturating"),
    )
