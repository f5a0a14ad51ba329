"""The proofs hold and state what the paper states, and what they prove agrees with numbers from elsewhere.

``test_proofs_tampered.py`` alters them, ``test_proofs_search.py`` adds to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from sympy import Integral, lambdify, srepr
from sympy.abc import k

from ganlib.proofs import ALL, ProofError, folded, frozen_discriminator, global_optimum, lemma
from ganlib.proofs import notation as n
from ganlib.proofs.rendering import _LINE as LINE
from ganlib.proofs.rendering import _width as width
from ganlib.proofs.rendering import claim_to_latex
from ganlib.tests.test_proofs_worlds import PROOFS, argmax, gaussian_world, value


@pytest.mark.parametrize("name", ALL)
def test_every_proof_checks(name: str) -> None:
    proof = ALL[name]()
    report = proof.check()
    assert proof.name == name
    assert [row[0] for row in report.rows] == [step.name for step in proof.steps]
    for step, (_, worlds) in zip(proof.steps, report.rows, strict=True):
        assert worlds >= (1 if step.name == "disjoint" else 2)
        assert step.name in str(report)
        assert f"| {step.name} | {worlds} |" in report._repr_markdown_()
        assert all(one.text in str(report) for one in step.assumes)


# The paper's statements, and what its proofs need, written out by hand: whatever else is changed, these are proved.
P, Q = r"p_{\mathrm{data}}(x)", "p_g(x)"
MASS = (rf"$\int {P} \, dx = 1$.", rf"$\int {Q} \, dx = 1$.")
PUSHED = "is the density of $G(z)$ when"
JSD = r"\operatorname{JSD}\left(p_{\mathrm{data}} \,\|\, p_g\right)"
JSD_THETA = r"\operatorname{JSD}\left(p_{\theta} \,\|\, p_{\mathrm{data}}\right)"
KL_THETA = r"\operatorname{KL}\left(p_{\theta} \,\|\, p_{\mathrm{data}}\right)"
SLOPE, THERE = r"\nabla_{\theta}\,", r"\Big|_{\theta = \theta_0}"
SMOOTH = (r"$\int p_{\theta}(x) \, dx = 1$.", r"smooth enough in $\theta$")
STATED = {
    ("lemma", "maximum"): (
        r"a\log y+b\log(1-y)\leqa\log\left(\frac{a}{a+b}\right)+b\log\left(\frac{b}{a+b}\right)",
        (),
    ),
    ("lemma", "only-maximum"): (
        r"a\log y+b\log(1-y)<a\log\left(\frac{a}{a+b}\right)+b\log\left(\frac{b}{a+b}\right)",
        (r"$y \neq \frac{a}{a + b}$.",),
    ),
    ("lemma", "zero-a"): (r"b\log(1-y)<0", ()),
    ("lemma", "zero-b"): (r"a\log y<0", ()),
    ("lemma", "signs-matter-minimum"): (r"-\log y-\log(1-y)\geq\log 4", ()),
    ("proposition_1", "optimal-discriminator"): (rf"D^{{*}}(x)=\frac{{{P}}}{{{P}+{Q}}}", ()),
    ("proposition_1", "conclusion"): (r"V(G,D)\leqV(G,D^{*})", (PUSHED,)),
    ("proposition_1", "unique"): (r"V(G,D)<V(G,D^{*})", (r"$D(x) \neq D^{*}(x)$ on a set", PUSHED)),
    ("global_optimum", "conclusion"): (rf"C(G)=-\log 4+2{JSD}", MASS),
    ("global_optimum", "lower-bound"): (r"C(G)\geq-\log 4", MASS),
    ("global_optimum", "attained"): (r"C(G)\big|_{p_g = p_{\mathrm{data}}}=-\log 4", MASS[:1]),
    ("global_optimum", "only-there"): (r"C(G)>-\log 4", (rf"${P} \neq {Q}$ on a set", *MASS)),
    ("jsd_bounds", "lower-bound"): (rf"{JSD}\geq0", MASS),
    ("jsd_bounds", "zero-when-equal"): (JSD.replace("p_g", r"p_{\mathrm{data}}") + "=0", ()),
    ("jsd_bounds", "positive-otherwise"): (rf"{JSD}>0", (rf"${P} \neq {Q}$ on a set", *MASS)),
    ("jsd_bounds", "upper-bound"): (rf"{JSD}\leq\log 2", MASS),
    ("jsd_bounds", "strict-upper-bound"): (rf"{JSD}<\log 2", (rf"${P}\, {Q} > 0$ on a set", *MASS)),
    ("jsd_bounds", "disjoint"): (rf"{JSD}=\log 2", (rf"${P}\, {Q} = 0$ for almost every", *MASS)),
    ("frozen_discriminator", "saturating-identity"): (
        rf"{SLOPE}\mathbb{{E}}_{{x \sim p_{{\theta}}}}\left[\log(1-D^{{*}}_{{\theta_0}}(x))\right]{THERE}="
        rf"{SLOPE}2{JSD_THETA}{THERE}",
        SMOOTH,
    ),
    ("frozen_discriminator", "conclusion"): (
        rf"{SLOPE}\left({KL_THETA}-2{JSD_THETA}\right){THERE}="
        rf"{SLOPE}\mathbb{{E}}_{{x \sim p_{{\theta}}}}\left[-\log D^{{*}}_{{\theta_0}}(x)\right]{THERE}",
        SMOOTH,
    ),
}


def test_what_is_proved_is_what_the_paper_states() -> None:
    relations = {"==": "=", "<=": r"\leq", ">=": r"\geq", "<": "<", ">": ">"}
    for (name, step_name), (claim, assumes) in STATED.items():
        step = PROOFS[name].step(step_name)
        said = n.to_latex(step.claim.lhs) + relations[step.claim.rel_op] + n.to_latex(step.claim.rhs)
        assert re.sub(r"\s", "", said) == re.sub(r"\s", "", claim), step_name
        assert step_name in PROOFS[name].results
        assert len(step.assumes) == len(assumes)
        for wanted in assumes:
            assert any(wanted in one.text for one in step.assumes), (step_name, wanted)


# ---------------------------------------------------------------- rendering


@pytest.mark.parametrize("name", ALL)
def test_markdown_shows_every_step_as_latex(name: str) -> None:
    proof = PROOFS[name]
    page = proof._repr_markdown_()
    math = re.findall(r"\$\$\n(.*?)\n\$\$", page, re.DOTALL)
    flat = re.sub(r"\\begin\{aligned\}|\\end\{aligned\}|\\\\\n|&|\\q?quad|\s", "", page)
    flat = flat.replace(r"\biggl", r"\left").replace(r"\biggr", r"\right")
    for number, step in enumerate(proof.steps, 1):
        assert f"**{number}. " in page
        assert step.text in page
        assert all(page.count(one.text) == 1 for one in step.assumes)
        for side in (step.claim.lhs, step.claim.rhs):
            assert re.sub(r"\s", "", n.to_latex(side)) in flat
    assert len(math) >= len(proof.steps)
    assert set(re.findall(r"\\begin\{(\w+)\}", page)) <= {"aligned"}
    assert page.count("$") % 2 == 0
    for formula in math:
        assert formula.count("{") == formula.count("}")
        assert len(re.findall(r"\\left\b", formula)) == len(re.findall(r"\\right\b", formula))
    python = r"p_data|p_theta|Integral\(|Derivative\(|Eq\(|log\{|\w\*\*\w|<=|==|\boo\b|None|True|object at"
    assert not re.search(python + r"|\{\\left\(x \\right", page)


@pytest.mark.parametrize("name", ALL)
def test_no_line_of_a_proof_is_wider_than_a_telephone(name: str) -> None:
    for step in PROOFS[name].steps:
        for row in re.sub(r"\\(begin|end)\{aligned\}", "", claim_to_latex(step)).split("\\\\\n"):
            assert width(row) <= LINE + 2.5, (step.name, row)  # a little more scrolls


def test_what_is_broken_inside_a_bracket_keeps_its_brackets() -> None:
    step = PROOFS["proposition_1"].step("one-integral")
    assert claim_to_latex(step).splitlines()[1:-1] == [
        r"V(G, D) & = \int \biggl(p_{\mathrm{data}}(x) \log D(x) \\",
        r"& \quad \quad + p_g(x) \log(1 - D(x))\biggr) \, dx",
    ]


def test_a_proof_folds_behind_one_line_and_a_false_one_is_not_shown() -> None:
    proof = PROOFS["global_optimum"]
    shown = folded(proof)
    page = shown._repr_markdown_()
    assert page.startswith('<details class="folded">\n<summary>Theorem 1: the global optimum. All 21 steps, each')
    assert page.endswith("\n</details>\n")
    assert proof._repr_markdown_() in page
    assert proof._repr_markdown_() in str(shown)
    assert "small examples" in page
    claim = proof.step("half-the-sum").claim
    one_jsd = proof.with_step("half-the-sum", claim=claim.subs(2, 1))
    with pytest.raises(ProofError, match="half-the-sum"):
        folded(one_jsd)


# ---------------------------------------------------------------- numbers from elsewhere


@given(st.floats(1e-3, 50), st.floats(1e-3, 50), st.floats(1e-6, 1 - 1e-6))
def test_the_lemma_bounds_random_values(a: float, b: float, y: float) -> None:
    claim = lemma().step("maximum").claim
    left, right = (lambdify((n.a, n.b, n.y), side)(a, b, y) for side in claim.args)
    assert left <= right + 1e-9 * (1 + abs(right))


def test_the_stationary_point_is_a_maximum_not_a_minimum() -> None:
    formula = lambdify((n.a, n.b), lemma().step("stationary-point").claim.rhs)
    f = lambdify(n.y, lemma().step("maximum").claim.lhs.subs({n.a: 0.3, n.b: 0.9}), "numpy")
    assert formula(0.3, 0.9) == pytest.approx(0.25)
    assert argmax(f) == pytest.approx(0.25, abs=1e-6)
    grid = np.linspace(0.01, 0.99, 99)
    assert f(0.25) == f(grid).max() > f(grid).min()


@pytest.fixture(scope="module")
def proved_criterion() -> Callable[[Any, Any], float]:
    """The last line of Theorem 1's proof as a NumPy function of two categorical distributions."""
    final = n.unfold(global_optimum().step("conclusion").claim.rhs)
    marked = final.replace(Integral, lambda integrand, _: k * integrand)  # k marks what is summed over the points
    constant, summed = marked.as_independent(k)
    terms = lambdify((n.p_data(n.x), n.p_g(n.x)), (summed / k).expand(), "numpy")
    return lambda p, q: float(constant) + terms(p, q).sum()


@given(st.lists(st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)), min_size=2, max_size=9))
def test_the_last_line_is_the_best_value_on_random_distributions(
    proved_criterion: Callable[[Any, Any], float], rows: list[tuple[float, float]]
) -> None:
    p, q = (np.array(column) / sum(column) for column in zip(*rows, strict=True))
    d, m = p / (p + q), (p + q) / 2
    jsd = (rel_entr(p, m).sum() + rel_entr(q, m).sum()) / 2
    assert proved_criterion(p, q) == pytest.approx(np.sum(p * np.log(d) + q * np.log(1 - d)), abs=1e-9)
    assert proved_criterion(p, q) == pytest.approx(-np.log(4) + 2 * jsd, abs=1e-9)


@pytest.mark.parametrize(
    ("shift", "saturating", "nonsaturating"),
    [(1, 0.39797, 0.60203), (2, 0.44960, 1.55040), (4, 0.13720, 3.86281), (8, 0.000393, 7.99961)],
)
def test_gradients_between_two_gaussians(shift: int, saturating: float, nonsaturating: float) -> None:
    def caught(u: Any) -> Any:  # the density of N(shift, 1) times D*(u) = sigmoid(shift^2 / 2 - shift u)
        return mpmath.npdf(u, shift) / (1 + mpmath.exp(shift * u - mpmath.mpf(shift) ** 2 / 2))

    mean = float(mpmath.quad(caught, [-mpmath.inf, 0, shift, mpmath.inf]))
    proof, world = frozen_discriminator(), gaussian_world(0)
    world.symbols[n.theta_0] = float(shift)
    world.points[n.x] = np.linspace(-9, shift + 9, 161).tolist()
    world.weights[n.x] = np.full(161, (shift + 18) / 160)
    low = value(proof.step("gaussian-saturating").claim.lhs, world, world.symbols)
    high = value(proof.step("gaussian-nonsaturating").claim.lhs, world, world.symbols)
    assert low == pytest.approx(shift * mean, rel=1e-5)
    assert high == pytest.approx(shift * (1 - mean), rel=1e-5)
    assert low == pytest.approx(saturating, abs=1e-5 if shift < 8 else 1e-6)
    assert high == pytest.approx(nonsaturating, abs=1e-5)


# ---------------------------------------------------------------- the hypothesis about G, on the line


def logistic(u: Any) -> Any:
    return 0.2 + 0.6 / (1 + mpmath.exp(1 - u))


@pytest.mark.parametrize(
    ("noise", "generator", "generated", "z_ends", "x_ends"),
    [
        pytest.param(
            lambda z: 1,
            lambda z: -mpmath.log(1 - z) / 2,
            lambda x: 2 * mpmath.exp(-2 * x),
            (0, 1),
            (0, 1, mpmath.inf),
            id="uniform z, the inverse CDF of an exponential",
        ),
        pytest.param(
            mpmath.npdf,
            lambda z: 1 + z / 2,
            lambda x: mpmath.npdf(x, 1, 0.5),
            (-mpmath.inf, 0, mpmath.inf),
            (-mpmath.inf, 0, 1, mpmath.inf),
            id="normal z, affine",
        ),
        pytest.param(
            lambda z: mpmath.mpf(1) / 2,
            lambda z: z**2,
            lambda x: 1 / (2 * mpmath.sqrt(x)),
            (-1, 0, 1),
            (0, 1),
            id="uniform z, z^2, which is not invertible",
        ),
    ],
)
def test_an_expectation_over_z_is_one_over_the_density_of_g_of_z(
    noise: Any, generator: Any, generated: Any, z_ends: Any, x_ends: Any
) -> None:
    claim = PROOFS["proposition_1"].step("change-of-variables").claim
    assert srepr(claim.lhs.args[1]) == srepr(claim.rhs.args[1].subs(n.x, n.G(n.z)))
    over_z = mpmath.quad(lambda z: noise(z) * mpmath.log(1 - logistic(generator(z))), z_ends)
    over_x = mpmath.quad(lambda x: generated(x) * mpmath.log(1 - logistic(x)), x_ends)
    assert float(over_z) == pytest.approx(float(over_x), rel=1e-6)
