"""The rules behind the proofs refuse what they cannot confirm, and wrong inputs are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sympy import Eq, Ge, Gt, Integral, Le, Limit, Lt, S, log, oo
from sympy.abc import k

from ganlib.proofs import Proof, ProofError, Step, lemma
from ganlib.proofs import notation as n
from ganlib.proofs.algebra import Failed, facts, require_zero, sign
from ganlib.proofs.families import CATEGORICAL, require_on
from ganlib.proofs.rules import Chain, Convexity, Follows, Identity, LimitValue, Numerical, Root, Sign, Use

HALF = Step("half", "Given.", Lt(n.y, n.y + 1, evaluate=False), Sign())
TWO = Step("two", "Given.", Eq(k, 2, evaluate=False), Identity())
P, Q = n.p_data(n.x), n.p_g(n.x)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Step("s", "t", "x = 1", Identity()), TypeError, "must be a SymPy relation"),
        (lambda: Step("", "t", Eq(k, 1), Identity()), ValueError, "needs a name and a text"),
        (lambda: Step("s", "", Eq(k, 1), Identity()), ValueError, "needs a name and a text"),
        (lambda: Step("s", "t", Eq(k, 1), Numerical()), ValueError, "checked by nothing"),
        (lambda: Proof("p", "t", "s", ()), ValueError, "no steps"),
        (lambda: Proof("p", "t", "s", (TWO, TWO)), ValueError, "two steps called 'two'"),
        (lambda: lemma().step("nowhere"), ValueError, r"no step 'nowhere' in lemma; its steps are \['derivative'"),
        (lambda: lemma().with_step("nowhere", claim=Eq(k, 1)), ValueError, "no step 'nowhere'"),
        (lambda: lemma().with_step("value", holds=True), TypeError, "holds"),
    ],
)
def test_wrong_inputs_are_refused(build: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    ("rule", "claim", "reason"),
    [
        (Identity(), Le(k, k, evaluate=False), "must be an equation"),
        (Identity(), Eq(n.integral(P), 1), "does not integrate to a known number"),
        (Identity(facts(P)), Eq(n.integral(P * Q), 1), "does not integrate to a known number"),
        (Identity(facts(P)), Eq(n.integral(P), 2), "differ by"),
        (Identity(), Eq(n.integral(P) ** 2, 1), "not a number times an integral"),
        (Identity(), Eq(Integral(P, (n.x, 0, oo)), 1), "over the whole space"),
        (Sign(), Eq(k, 1), "must be an inequality"),
        (Sign(), Gt(P - Q, 0), "cannot confirm"),
        (Sign(cases=((n.a, S.Zero),)), Gt(n.a, 0, evaluate=False), "cannot confirm"),
        (LimitValue(), Eq(k, 1), "must be a limit"),
        (LimitValue(), Eq(Limit(1 / n.t, n.t, 0, "+"), 0, evaluate=False), "the limit is"),
        (Root(of="two", variable=n.t), Eq(n.y_star, 1), "vanishes at 0 points"),
        (Root(of="later", variable=n.t), Eq(n.y_star, 1), "not an earlier step"),
        (Convexity(n.t), Ge(log(n.t), 0), "not convex"),
        (Convexity(n.t), Ge(1 / n.t, 0, evaluate=False), "no single minimum inside"),
        (Convexity(n.y), Ge((n.y - 2) ** 2, 0, evaluate=False), "no single minimum inside"),
        (Convexity(n.t), Gt((n.t - 1) ** 2, 0), "not positive"),
        (Follows((Use("half", S.NegativeOne),)), Le(n.y, 0), "not a positive one"),
        (Follows((Use("half"),)), Eq(k, 0), "cannot follow from inequalities"),
        (Follows((Use("two"),)), Lt(k, 3), "needs a strict premise"),
        (Follows((Use("half", at=((n.y, S(2)),)),)), Lt(2, n.t), "not known to lie where"),
        (Follows((Use("half", at=((n.D, lambda u: n.p_g(u)),)),)), Lt(2, n.t), "not known to lie where"),
        (Chain("two", "half"), Eq(k, 1), "does not join the two ends"),
        (Chain("half", "two"), Eq(n.y, 2), "the chain breaks at 'two'"),
    ],
)
def test_rules_refuse_what_they_cannot_confirm(rule: Any, claim: Any, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        rule.confirm(claim, {"half": HALF, "two": TWO})


def test_a_step_must_continue_an_earlier_one() -> None:
    step = Step("s", "t", Eq(k, k, evaluate=False), Identity(), after="later")
    with pytest.raises(ProofError, match="p, step 's': it continues 'later', which is not an earlier step"):
        Proof("p", "t", "s", (step,)).check()


def test_a_false_claim_fails_on_a_family_with_both_numbers() -> None:
    with pytest.raises(Failed, match=r"\(3, 2, 1\)/6 against \(1, 1, 4\)/6 its two sides are .* and "):
        require_on(Eq(n.KL(P, Q), n.KL(Q, P), evaluate=False), CATEGORICAL)


def test_signs_and_identities_are_decided_for_arbitrary_densities() -> None:
    assert sign(P * log(P / (P + Q))) == -1
    assert sign(log(1 - n.D(n.x))) == -1
    assert sign(log(P / Q)) is None
    assert sign(log(P / Q) + log(Q / P)) == 0
    require_zero(log(1 - n.OptimalD(P, Q)) - log(Q) + log(P + Q))
    with pytest.raises(Failed):
        require_zero(n.KL(P, Q) - n.KL(Q, P))


@pytest.mark.parametrize("relation", [Lt, Gt])
def test_a_strict_claim_fails_on_a_family_where_the_sides_are_equal(relation: Any) -> None:
    require_on(Le(n.KL(P, Q), n.KL(P, Q), evaluate=False), CATEGORICAL)
    with pytest.raises(Failed, match="its two sides are"):
        require_on(relation(n.KL(P, Q), n.KL(P, Q), evaluate=False), CATEGORICAL)
