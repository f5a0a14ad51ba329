"""The proofs hold, no false alteration of any step passes, and what they prove agrees with numbers from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from sympy import Eq, Ge, Gt, Integral, Le, Lt, Ne, false, lambdify, true
from sympy.abc import k

from ganlib.proofs import ALL, Proof, ProofError, frozen_discriminator, global_optimum, lemma
from ganlib.proofs import notation as n
from ganlib.proofs.families import evaluate, shifted_normals
from ganlib.tests.test_proofs_worlds import PROOFS, STEPS, argmax, true_in_world

ALTERATIONS: dict[str, Callable[[Any], Any]] = {
    "negated": lambda r: -r,
    "doubled": lambda r: 2 * r,
    "plus 1": lambda r: r + 1,
    "minus 1": lambda r: r - 1,
    "plus 100": lambda r: r + 100,
    "minus 100": lambda r: r - 100,
}
OPPOSITE = {Eq: Ne, Le: Ge, Ge: Le, Lt: Gt, Gt: Lt}


def alterations(claim: Any) -> Iterator[tuple[str, Any]]:
    """Ways to alter a claim, most of them false, as (what, claim)."""
    for what, alter in ALTERATIONS.items():
        yield what, claim.func(claim.lhs, alter(claim.rhs), evaluate=False)
    yield "swapped relation", OPPOSITE[claim.func](claim.lhs, claim.rhs, evaluate=False)
    for side in claim.args:
        for term in side.args if side.is_Add else ():
            flipped = side - 2 * term
            yield f"sign of {term}", claim.func(*(flipped if s is side else s for s in claim.args), evaluate=False)


def tamperings(proof: str, name: str) -> Iterator[tuple[str, Any]]:
    """The alterations of a step's claim that are false in at least one of a few random worlds."""
    for what, claim in alterations(PROOFS[proof].step(name).claim):
        if not all(true_in_world(claim, name, seed) for seed in range(4)):
            yield what, claim


def fails_at(proof: Proof, name: str) -> bool:
    with pytest.raises(ProofError, match=re.escape(f"{proof.name}, step {name!r}: ")) as raised:
        proof.check()
    return len(str(raised.value)) > len(proof.name) + len(name) + 10  # and it says why


@pytest.mark.parametrize("name", ALL)
def test_every_proof_checks(name: str) -> None:
    proof = ALL[name]()
    report = proof.check()
    assert proof.name == name
    assert [row[0] for row in report.rows] == [step.name for step in proof.steps]
    for step in proof.steps:
        assert re.search(r"symbolic|(quadrature|finite sums) on families: \S", step.how)
        assert step.name in str(report)
        assert f"| {step.name} | {step.how} |" in report._repr_markdown_()
        assert all(assumption in str(report) for assumption in step.assumes)


@pytest.mark.parametrize(("proof", "name"), STEPS)
def test_no_tampered_step_passes(proof: str, name: str) -> None:
    tried = list(tamperings(proof, name))
    assert len(tried) >= 2
    for what, claim in tried:
        assert fails_at(PROOFS[proof].with_step(name, claim=claim), name), what


@pytest.mark.parametrize("link", [s.name for s in global_optimum().steps if s.after])
def test_a_true_but_unconnected_link_breaks_the_chain(link: str) -> None:
    proof = global_optimum()
    claim = proof.step(link).claim
    doubled = Eq(2 * claim.lhs, 2 * claim.rhs, evaluate=False)
    assert fails_at(proof.with_step(link, claim=doubled), link)


def test_doubling_the_first_link_is_found_at_the_second() -> None:
    claim = global_optimum().step("criterion").claim
    doubled = Eq(2 * claim.lhs, 2 * claim.rhs, evaluate=False)
    assert fails_at(global_optimum().with_step("criterion", claim=doubled), "integrals")


@pytest.mark.parametrize("claim", [true, false, k, Eq(k, k, evaluate=False) & Eq(k, 1)])
def test_a_claim_without_two_sides_is_no_proof(claim: Any) -> None:
    assert fails_at(lemma().with_step("value", claim=claim), "value")


def test_a_claim_sympy_cannot_decide_is_no_proof() -> None:
    proof = PROOFS["proposition_1"]
    assert fails_at(proof.with_step("change-of-variables", claim=Eq(k, k + n.t, evaluate=False)), "change-of-variables")


# ---------------------------------------------------------------- rendering


@pytest.mark.parametrize("name", ALL)
def test_markdown_shows_every_step_as_latex(name: str) -> None:
    proof = PROOFS[name]
    page = proof._repr_markdown_()
    math = re.findall(r"\$\$\n(.*?)\n\$\$", page, re.DOTALL)
    flat = re.sub(r"\\begin\{aligned\}|\\end\{aligned\}|\\\\\n|&|\\q?quad|\s", "", page)
    for number, step in enumerate(proof.steps, 1):
        assert f"**{number}. " in page
        assert step.text in page
        assert all(f"*Assumes:* {assumption}" in page for assumption in step.assumes)
        assert step.how == "symbolic" or f"*Checked:* {step.how}." in page
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

    mean = mpmath.quad(caught, [-mpmath.inf, 0, shift, mpmath.inf])
    proof, family = frozen_discriminator(), shifted_normals(shift)
    low = evaluate(proof.step("saturating-gradient").claim.rhs, family)
    high = evaluate(proof.step("nonsaturating-gradient").claim.lhs, family)
    assert float(low) == pytest.approx(float(shift * mean), rel=1e-9)
    assert float(high) == pytest.approx(float(shift * (1 - mean)), rel=1e-9)
    assert float(low) == pytest.approx(saturating, abs=1e-5 if shift < 8 else 1e-6)
    assert float(high) == pytest.approx(nonsaturating, abs=1e-5)
