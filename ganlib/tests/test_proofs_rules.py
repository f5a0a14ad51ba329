"""The rules behind the proofs refuse what they cannot confirm, and wrong inputs are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sympy import Derivative, Eq, Ge, Gt, Integral, Le, Limit, Lt, S, Subs, cos, log, oo
from sympy.abc import k

from ganlib.errors import ProofError
from ganlib.proofs import Proof, Step, frozen_discriminator, global_optimum, jsd_bounds, lemma
from ganlib.proofs import hypotheses as h
from ganlib.proofs import notation as n
from ganlib.proofs.algebra import Failed, difference, require_zero, sign
from ganlib.proofs.calculus import ByParts, ChangeOfVariables, Convexity, LimitValue, OnDisjointSupports, Root
from ganlib.proofs.follows import Follows, Use
from ganlib.proofs.kernel import Context
from ganlib.proofs.rules import Chain, Identity, Sign, Theorem
from ganlib.proofs.substitution import Substitution

P, Q = n.p_data(n.x), n.p_g(n.x)
MODEL, FROZEN = n.p_theta(n.x, n.theta), n.p_theta(n.x, n.theta_0)


def given(name: str, claim: Any, *assumes: h.Hypothesis, after: str | None = None) -> Step:
    return Step(name, "Given.", claim, Sign() if not isinstance(claim, Eq) else Identity(), assumes, after)


EARLIER = {
    step.name: step
    for step in (
        given("half", Lt(n.y, n.y + 1, evaluate=False)),
        given("two", Eq(n.t, 2, evaluate=False)),
        given("infinite", Eq(Limit(1 / n.t, n.t, 0, "+"), oo, evaluate=False)),
        given("apart", Gt((n.t - 1) ** 2, 0, evaluate=False), h.Apart(n.t, 1)),
        given("slope", Eq(Derivative(n.t**2, n.t), 2 * n.t, evaluate=False)),
        given("flat", Eq(Derivative(n.y**3, n.y), S.One, evaluate=False)),
        given("bent", Eq(Derivative(n.t**2 - n.t, (n.t, 2)), 2, evaluate=False)),
        given("bounded", Gt(Derivative(-(n.t**2), (n.t, 2)), -3, evaluate=False)),
        given("bounded-below-zero", Lt(-3, 0, evaluate=False), after="bounded"),
        given("said", Eq(Derivative(n.t**2 - n.t, (n.t, 2)), 2, evaluate=False), h.Normalised(P)),
        given("said-positive", Gt(2, 0, evaluate=False), after="said"),
        given("bent-outside", Eq(Derivative((n.y - 2) ** 2, (n.y, 2)), 2, evaluate=False)),
        given("bent-below", Eq(Derivative((n.t + 1) ** 2, (n.t, 2)), 2, evaluate=False)),
        given("straight", Eq(Derivative(n.t, (n.t, 2)), 0, evaluate=False)),
        given("mass", Eq(n.KL(P, Q), n.integral(P), evaluate=False)),
        given("mass-at-a", Eq(n.integral(n.a * P), n.a, evaluate=False), h.Normalised(P)),
        given("differ", Gt(n.JSD(P, Q), 0, evaluate=False), h.Differ(P, Q), h.Normalised(P), h.Normalised(Q)),
        given("overlap", Gt(P * Q, 0, evaluate=False), h.Positive(P), h.Positive(Q)),
        given("three", Gt(P * Q * FROZEN, 0, evaluate=False), h.Positive(P), h.Positive(Q), h.Positive(FROZEN)),
        given("gradient", Eq(n.Gradient(n.KL(MODEL, P)), n.theta_0, evaluate=False), h.Smooth(MODEL)),
        given("normal", Eq(n.Gradient(n.KL(MODEL, P)), n.theta_0, evaluate=False), h.UnitNormals()),
    )
}
EARLIER |= {step.name: step for step in jsd_bounds().steps if step.name in ("ratios", "where-only-data")}
EARLIER |= {step.name: step for step in frozen_discriminator().steps if step.name.startswith("gaussian")}


IN_WORDS: Any = ("p is normalised",)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Step("s", "t", "x = 1", Identity()), TypeError, "must be a SymPy relation"),
        (lambda: Step("", "t", Eq(k, 1), Identity()), ValueError, "needs a name and a text"),
        (lambda: Step("s", "", Eq(k, 1), Identity()), ValueError, "needs a name and a text"),
        (lambda: Step("s", "t", Eq(k, 1), Identity(), IN_WORDS), TypeError, "must hold hypotheses such as"),
        (lambda: Proof("p", "t", "s", (), ("two",)), ValueError, "no steps"),
        (lambda: Proof("p", "t", "s", (EARLIER["two"],), ()), ValueError, "no results"),
        (lambda: Proof("p", "t", "s", (EARLIER["two"],) * 2, ("two",)), ValueError, "two steps called 'two'"),
        (lambda: lemma().step("nowhere"), ValueError, r"no step 'nowhere' in lemma; its steps are \['derivative'"),
        (lambda: lemma().with_step("nowhere", claim=Eq(k, 1)), ValueError, "no step 'nowhere'"),
        (lambda: lemma().with_step("value", holds=True), TypeError, "holds"),
        (lambda: h.Normalised(2 * P), ValueError, "not a density"),
        (lambda: h.Normalised(n.D(n.x)), ValueError, "not a density"),
        (lambda: h.Normalised(n.p_z(n.x)), ValueError, "not a density"),
        (lambda: h.Smooth(P), ValueError, "does not depend on a parameter"),
        (lambda: h.Apart(n.t, n.t), ValueError, "never differ"),
        (lambda: h.Differ(P / n.Mixture(P, Q), 2 * P / (P + Q)), ValueError, "never differ"),
        (lambda: h.Apart(n.t, n.t + 1), ValueError, "always differ"),
        (lambda: h.Differ(n.KL(P, Q), 0), ValueError, "must be values at one point"),
        (lambda: h.Positive(n.y), ValueError, "not a density"),
        (lambda: h.Overlap(P, P), ValueError, "cannot be compared with itself"),
        (lambda: h.Disjoint(P, 2 * Q), ValueError, "not a density"),
        (lambda: h.Pushforward(P, Q), ValueError, "a generator takes"),
        (lambda: h.Pushforward(n.p_z(n.z), n.p_z(n.z)), ValueError, "a generator takes"),
    ],
)
def test_wrong_inputs_are_refused(build: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


JSD_2 = Eq(n.JSD(P, Q), log(2), evaluate=False)
ZERO = n.integral(P * log(P / Q))


@pytest.mark.parametrize(
    ("rule", "claim", "reason"),
    [
        (Identity(), Le(k, k, evaluate=False), "must be an equation"),
        (Identity(), Eq(n.integral(P), 1), "does not integrate to a known number"),
        (Identity(), Eq(n.integral(P) ** 2, 1), "not a number times an integral"),
        (Identity(), Eq(n.integral(n.integral(P) * Q), 1), "integral"),
        (Identity(), Eq(Integral(P, (n.x, 0, oo)), 1), "over the whole space"),
        (Sign(), Eq(k, 1), "must be an inequality"),
        (Sign(), Gt(P - Q, 0), "cannot confirm"),
        (Sign(), Ge(P * Q, 0, evaluate=False), "is strict: say so"),
        (Sign(), Gt(n.JSD(P, Q), 0, evaluate=False), "cannot confirm"),
        (LimitValue(), Eq(k, 1), "must be a limit"),
        (LimitValue(), Eq(Limit(n.integral(n.t * P), n.t, 0, "+"), 0, evaluate=False), "is the limit of an integral"),
        (LimitValue(), Eq(Limit(1 / n.t, n.t, 0, "+"), 0, evaluate=False), "the limit is"),
        (Root(of="slope"), Eq(n.StationaryPoint(n.t**2, n.t), 0), "states no derivative in y"),
        (Root(of="flat"), Eq(n.StationaryPoint(n.y**3, n.y), 0), "vanishes at 0 points"),
        (Root(of="flat"), Eq(n.y, S.Half), "must name the zero of that derivative"),
        (Root(of="later"), Eq(n.y, 1), "not an earlier step"),
        (Convexity(n.t, "slope"), Ge(n.t, 0, evaluate=False), "does not say that something is convex"),
        (Convexity(n.t, "straight"), Ge(n.t, 0, evaluate=False), "does not say that something is convex"),
        (Convexity(n.t, "half"), Ge(n.t, 0, evaluate=False), "does not say that something is convex"),
        (Convexity(n.y, "bent"), Ge(n.t, 0, evaluate=False), "does not say that something is convex"),
        (
            Convexity(n.t, "bounded-below-zero"),
            Le(-(n.t**2), 0, evaluate=False),
            "does not say that something is convex",
        ),
        (Convexity(n.y, "bent-outside"), Ge((n.y - 2) ** 2, 0, evaluate=False), "no single minimum inside the domain"),
        (Convexity(n.t, "bent-below"), Ge((n.t + 1) ** 2, 0, evaluate=False), "no single minimum inside the domain"),
        (Convexity(n.t, "bent"), Ge(n.t**3, 0, evaluate=False), "is not about the difference"),
        (Convexity(n.t, "bent"), Ge(n.t**2 - n.t, 0, evaluate=False), "is not nonnegative"),
        (Convexity(n.t, "bent"), Ge(n.t**2 - n.t, -1, evaluate=False), "is strict: say so"),
        (Convexity(n.t, "bent", stationary="two"), Ge(n.t**2 - n.t, -1, evaluate=False), "where the derivative of"),
        (Convexity(n.t, "bent", inside="two"), Ge(n.t**2 - n.t, -1, evaluate=False), "is between 0 and 1"),
        (Convexity(n.t, "bent", value="two"), Ge(n.t**2 - n.t, -1, evaluate=False), "does not state the value"),
        (Follows((Use("half", S.NegativeOne),)), Le(n.y, 0), "not a positive one"),
        (Follows((Use("half", S.Zero),)), Le(n.y, 0), "not a positive one"),
        (Follows((Use("two", S.Zero),)), Eq(n.t, 3), "not one that is known not to vanish"),
        (Follows((Use("two", P - Q),)), Eq(n.t, 3), "not one that is known not to vanish"),
        (Follows((Use("two", 1 / n.KL(P, P)),)), Eq(n.t, 3), "not one that is known not to vanish"),
        (Follows((Use("two"), Use("two", S(3)))), Eq(n.t, 2), "uses 'two' twice"),
        (Follows((Use("half"),)), Eq(k, 0), "cannot follow from inequalities"),
        (Follows((Use("two"),)), Lt(k, 3), "needs a strict premise"),
        (Follows((Use("two"),)), Le(n.t, 3), "cannot follow from equations"),
        (Follows((Use("half"),)), Le(n.y, n.y + 2), "is strict: say so"),
        (Follows((Use("half", at=((n.y, S(2)),)),)), Lt(2, n.t), "not known to lie where"),
        (Follows((Use("half", at=((n.D, lambda u: n.p_g(u)),)),)), Lt(2, n.t), "not known to lie where"),
        (Follows((Use("two"), Use("half", integrate=True))), Lt(2, n.t), "nothing to integrate"),
        (Follows((Use("mass", integrate=True),)), Eq(n.t, 2), "nothing to integrate"),
        (Follows((Use("infinite"),)), Eq(n.t, 2), "states an infinite value"),
        (Follows((Use("three", integrate=True),)), Gt(n.integral(P * Q * FROZEN), 0), "at most two densities"),
        (Follows((Use("apart", at=((n.t, S.One),)),)), Gt(n.t, 0), "they would be equal"),
        (Follows((Use("differ", at=((n.p_g, lambda u: n.p_data(u)),)),)), Gt(n.t, 0), "they would be equal"),
        (Follows((Use("differ", at=((n.p_g, lambda u: 2 * n.p_g(u)),)),)), Gt(n.t, 0), "is not a density"),
        (Follows((Use("normal", at=((n.p_data, lambda u: n.p_g(u)),)),)), Eq(n.t, 0), "it excludes the hypothesis"),
        (Follows((Use("two"),)), Eq(n.t, 3), "differ by"),
        (Follows((Use("later"),)), Eq(n.t, 3), "not an earlier step"),
        (Chain("two", "half"), Eq(k, 1), "does not join the two ends"),
        (Chain("half", "two"), Eq(n.y, 2), "must be an equation|the chain breaks at 'two'"),
        (Theorem(lemma(), "value"), Eq(n.y, 2), "it is not the step 'value' of lemma"),
        (ChangeOfVariables(), Eq(n.y, 2), "both sides must be expectations"),
        (ChangeOfVariables(), Eq(n.Expect(n.p_z(n.z), log(n.D(n.G(n.z)))), n.Expect(Q, n.D(n.x))), "with x for G"),
        (ChangeOfVariables(), Eq(n.Expect(n.p_z(n.z), n.z * n.G(n.z)), n.Expect(Q, n.z * n.x)), "with x for G"),
        (ChangeOfVariables(), Eq(n.Expect(n.p_z(n.z), n.x * n.G(n.z)), n.Expect(Q, n.x**2)), "on G.z. alone"),
        (ChangeOfVariables(), Eq(n.Expect(P, n.D(n.G(n.z))), n.Expect(Q, n.D(n.x))), "a generator takes"),
        (OnDisjointSupports(P, Q, "two", ()), JSD_2, "its left side is not that of 'two'"),
        (OnDisjointSupports(P, Q, "ratios", ("where-only-data",)), JSD_2, "no limit says what"),
        (ByParts("gaussian-discriminator", "two", "two"), Eq(n.t, 1), "does not say how the density moves"),
        (ByParts("gaussian-shift", "two", "two"), Eq(n.t, 1), "does not state the optimal discriminator"),
        (
            ByParts("gaussian-shift", "gaussian-discriminator", "gaussian-saturating-slope"),
            Eq(n.t, 1),
            "must be the gradient of an expectation",
        ),
        (
            ByParts("gaussian-shift", "gaussian-discriminator", "gaussian-nonsaturating-slope"),
            frozen_discriminator().step("gaussian-saturating").claim,
            "is not the slope of",
        ),
    ],
)
def test_rules_refuse_what_they_cannot_confirm(rule: Any, claim: Any, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        rule.confirm(claim, Context(EARLIER))


@pytest.mark.parametrize(
    ("at", "expr", "reason"),
    [
        ((n.x, n.t), P, "is bound"),
        ((n.y, n.t), Derivative(n.y**2, n.y), "is bound"),
        ((n.y, S.Half), Limit(n.y, n.y, 0), "is bound"),
        ((n.y, S.Half), Subs(n.y, n.y, n.a), "is bound"),
        ((n.y, S.Half), n.StationaryPoint(n.y**2, n.y), "is bound"),
        ((n.theta_0, S.Zero), n.Gradient(n.KL(MODEL, P)), "is bound"),
        ((n.theta, S.Zero), n.Gradient(n.KL(MODEL, P)), "is bound"),
        ((n.a, P), n.integral(n.a * Q), "would be captured"),
        ((n.a, n.KL(P, Q)), n.a, "is not a value that a can take"),
        ((n.theta_0, S.ImaginaryUnit), n.theta_0, "not known to lie where"),
        ((n.theta_0, k), n.theta_0, "not known to lie where"),
        ((n.a, n.theta_0), n.a, "not known to lie where"),
        ((n.y, 1 + n.a), n.y, "not known to lie where"),
        ((n.a + n.b, S.One), n.a + n.b, "not a symbol or a function"),
        ((n.G, lambda u: u), n.G(n.z), "nothing may stand in for the function G"),
        ((n.p_theta, lambda u, s: P), MODEL, "nothing may stand in for the function p_theta"),
        ((n.D, lambda u: n.OptimalD(P, Q)), n.D(n.x), "must depend on its argument alone, not on x"),
        ((n.p_g, lambda u: n.p_theta(u, n.theta)), Q, "must depend on its argument alone, not on theta"),
        ((n.D, lambda u: 1 + n.D(u)), n.D(n.x), "not known to lie where"),
        ((n.p_g, lambda u: cos(u)), Q, "not known to lie where"),
    ],
)
def test_a_value_that_may_not_stand_in_is_refused(at: Any, expr: Any, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        Substitution((at,))(expr)


def test_hypotheses_move_with_the_values() -> None:
    equal = Substitution(((n.p_g, lambda u: n.p_data(u)),))
    mixed = Substitution(((n.p_g, lambda u: n.Mixture(n.p_data(u), n.p_g(u))),))
    at_x = Substitution(((n.a, P), (n.b, Q), (n.y, n.D(n.x))))
    best = n.OptimalD(P, Q)
    assert h.Normalised(Q).moved(equal) == {h.Normalised(P)}
    assert h.Normalised(Q).moved(mixed) == {h.Normalised(P), h.Normalised(Q)}
    assert h.Differ(P, Q).moved(mixed) == {h.Differ(Q, P)}
    assert h.Apart(n.y, n.a / (n.a + n.b)).moved(at_x) == {h.Apart(n.D(n.x), best)}
    assert h.Apart(n.t, 1).moved(Substitution(((n.t, S(2)),))) == frozenset()  # 2 is not 1: discharged
    assert h.Positive(Q).moved(mixed) == {h.Positive(P), h.Positive(Q)}
    assert h.Pushforward(n.p_z(n.z), Q).moved(equal) == {h.Pushforward(n.p_z(n.z), P)}
    assert h.Overlap(P, Q) == h.Overlap(Q, P) != h.Disjoint(P, Q)
    assert h.Apart(P, Q) != h.Differ(P, Q)
    with pytest.raises(Failed, match="cannot be compared with itself"):
        h.Overlap(P, Q).moved(equal)


def test_two_values_that_differ_are_one_hypothesis_however_they_are_written() -> None:
    assert difference(P / n.Mixture(P, Q), S.One) == difference(Q, P) == difference(2 * P, P + Q)
    assert difference(n.D(n.x), n.OptimalD(P, Q)) != difference(P, Q)
    assert difference(n.t**2, n.t) == difference(n.t, S.One)  # t is positive


def test_a_step_must_continue_an_earlier_one() -> None:
    step = Step("s", "t", Eq(n.Mixture(P, Q), (P + Q) / 2, evaluate=False), Identity(), after="later")
    with pytest.raises(ProofError, match="p, step 's': it uses 'later', which is not an earlier step"):
        Proof("p", "t", "s", (step,), ("s",)).check()


def test_a_sign_of_a_second_derivative_brings_what_the_derivative_assumes() -> None:
    claim = Ge(n.t**2 - n.t, -S.One / 4, evaluate=False)
    assert Convexity(n.t, "said-positive").confirm(claim, Context(EARLIER)) == {h.Normalised(P)}


def test_a_derivative_of_an_integral_needs_a_smooth_density() -> None:
    mass = n.integral(MODEL * log(n.D(n.x)))
    inside = n.integral(Derivative(MODEL, n.theta) * log(n.D(n.x)))
    step = Step("s", "t", Eq(Derivative(mass, n.theta), inside, evaluate=False), Identity())
    assert step.needs({}) == {h.Smooth(MODEL)}


def test_a_link_that_nothing_uses_is_idle_and_no_rule_can_be_made_to_name_a_premise() -> None:
    proof = global_optimum()
    idle = Step("idle", "True.", Eq(n.Mixture(P, Q) ** 2, (P + Q) ** 2 / 4, evaluate=False), Identity())
    after = Step(
        "more", "Continues it.", Eq(idle.claim.rhs, n.Mixture(Q, P) ** 2, evaluate=False), Identity(), (), "idle"
    )
    for extra in ((idle,), (idle, after)):
        with pytest.raises(ProofError, match="nothing uses it, and it is not a result"):
            Proof(proof.name, "t", "s", (*proof.steps, *extra), proof.results).check()
    with pytest.raises(TypeError):
        Identity(("idle",))  # type: ignore[call-arg]


def test_integrals_must_vanish_where_both_densities_do() -> None:
    ratios = given("ratios", Eq(n.JSD(P, Q), n.integral(1 / (1 + P + Q)), evaluate=False))
    there = 1 / (1 + n.p_point + n.q_point)
    limit = given("q", Eq(Limit(there, n.q_point, 0, "+"), 1 / (1 + n.p_point), evaluate=False))
    rule = OnDisjointSupports(P, Q, "ratios", ("q",))
    with pytest.raises(Failed, match="does not vanish where both densities do"):
        rule.confirm(JSD_2, Context({step.name: step for step in (ratios, limit)}))


def test_what_is_no_variable_cannot_be_bound() -> None:
    claim = Eq(Subs(2 * n.a * n.b, (2 * n.a,), (0,)), 0, evaluate=False)
    with pytest.raises(Failed, match="2 a is no variable"):
        Step("s", "t", claim, Identity()).needs({})


def test_signs_and_identities_are_decided_for_arbitrary_densities() -> None:
    assert sign(P * log(P / (P + Q))) == -1
    assert sign(log(1 - n.D(n.x))) == -1
    assert sign(log(P / Q)) is None
    assert sign(log(P / Q) + log(Q / P)) == 0
    require_zero(log(1 - n.OptimalD(P, Q)) - log(Q) + log(P + Q))
    with pytest.raises(Failed):
        require_zero(n.KL(P, Q) - n.KL(Q, P))


# The proofs of 0 > 0 and of 2 = 1 that an earlier kernel, which knew hypotheses only as prose, accepted.
AT_DATA = ((n.p_g, lambda u: n.p_data(u)),)
AT_BEST = ((n.D, lambda u: n.OptimalD(n.p_data(u), n.p_g(u))),)
ZERO_ABOVE_ZERO = Gt(S.Zero, S.Zero, evaluate=False)


@pytest.mark.parametrize(
    ("proof", "uses"),
    [
        ("global_optimum", (Use("only-there", at=AT_DATA), Use("attained", S.NegativeOne))),
        ("proposition_1", (Use("unique", at=AT_BEST),)),
        ("jsd_bounds", (Use("strict-upper-bound"), Use("disjoint"))),
        ("jsd_bounds", (Use("positive-otherwise", at=AT_DATA), Use("zero-when-equal", S.NegativeOne))),
        ("lemma", (Use("only-maximum", at=((n.y, n.a / (n.a + n.b)),)),)),
    ],
)
def test_nothing_proves_that_zero_is_above_zero(proof: str, uses: tuple[Use, ...]) -> None:
    from ganlib.proofs import ALL

    whole = ALL[proof]()
    earlier = {step.name: step for step in whole.steps}
    assumes = tuple({one for use in uses for one in earlier[use.name].assumes})
    for claim in (ZERO_ABOVE_ZERO, Gt(n.t, n.t, evaluate=False)):
        with pytest.raises(Failed, match="says nothing"):
            Step("false", "0 > 0.", claim, Follows(uses), assumes).confirm(earlier)
    some = Gt(n.t, n.t + n.JSD(P, P), evaluate=False)  # 0 > 0, but not at first sight
    with pytest.raises(Failed, match=r"would be equal|exclude each other"):
        Step("false", "0 > 0.", some, Follows(uses), assumes).needs(earlier)


def test_no_hypothesis_says_that_a_density_integrates_to_two() -> None:
    whole = global_optimum()
    earlier = {step.name: step for step in whole.steps}
    twice = ((n.p_data, lambda u: 2 * n.p_data(u)),)
    with pytest.raises(Failed, match="is not a density: it cannot be normalised"):
        Follows((Use("attained", at=twice), Use("attained", S.NegativeOne))).confirm(
            Eq(n.Criterion(2 * P, 2 * P), n.Criterion(P, P), evaluate=False),
            Context(earlier, frozenset({h.Normalised(P)})),
        )
