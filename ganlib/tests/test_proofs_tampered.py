"""No false or idle alteration of a proof passes: of a claim, a hypothesis, a strictness, a premise, a rule or a step.

An edit that leaves a proof right is listed by name, with the reason, in `EQUIVALENT`. Every step of the lemma and of
Proposition 1 is tampered with here; those of the other proofs, by the same functions, in tests/test_proofs_tampered.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from sympy import Eq, Ge, Gt, Le, Lt, Ne, S, false, true
from sympy.abc import k

from ganlib.errors import ProofError
from ganlib.proofs import ALL, Proof, global_optimum, lemma
from ganlib.proofs import hypotheses as h
from ganlib.proofs import notation as n
from ganlib.proofs.algebra import Failed
from ganlib.proofs.calculus import LimitValue
from ganlib.proofs.follows import Follows
from ganlib.proofs.kernel import Step
from ganlib.proofs.rules import Identity, Sign
from ganlib.tests.test_proofs_worlds import PROOFS, STEPS, false_somewhere

HERE = [step for step in STEPS if step.values[0] in ("lemma", "proposition_1")]
HYPOTHESES = sorted({one for proof in PROOFS.values() for step in proof.steps for one in step.assumes}, key=str)
OPPOSITE = {Eq: Ne, Le: Ge, Ge: Le, Lt: Gt, Gt: Lt}
STRICTNESS = {Le: Lt, Lt: Le, Ge: Gt, Gt: Ge}
ALTERATIONS: dict[str, Callable[[Any], Any]] = {
    "negated": lambda r: -r,
    "doubled": lambda r: 2 * r,
    "plus 1": lambda r: r + 1,
    "minus 1": lambda r: r - 1,
    "plus 100": lambda r: r + 100,
    "minus 100": lambda r: r - 100,
}
# Edits after which the proof is still one, and why.
EQUIVALENT = {
    "maximum: stationary dropped": "the kernel then finds the point itself; 'only-maximum' still uses the step",
    "maximum: inside dropped": "the same",
    "maximum: value dropped": "the same",
    "only-maximum: stationary dropped": "the same, with 'maximum'",
    "only-maximum: inside dropped": "the same",
    "only-maximum: value dropped": "the same",
    "no-data: by Sign": "the lemma's step is decided by Sign too",
    "only-data: by Sign": "the same",
    "only-there: without conclusion": "the kernel then writes out C(G), and does the chain's algebra at once",
    "upper-bound: without ratios": "the kernel then writes out the divergence itself",
    "difference: without jsd-gradient": "the kernel then differentiates the divergence itself",
    "saturating-identity: without jsd-gradient": "the same",
}


def caught(proof: Proof, altered: Step) -> bool:
    """Whether the altered step, or a later one, is refused, with a reason."""
    earlier: dict[str, Step] = {}
    for step in proof.steps:
        if step.name == altered.name:
            break
        earlier[step.name] = step
    try:
        altered.confirm(earlier)
    except Failed as failure:
        return len(str(failure)) > 10
    except Exception:  # `check` turns it into a ProofError, as the next test shows
        return True
    steps = tuple(altered if step.name == altered.name else step for step in proof.steps)
    return refused(replace(proof, steps=steps))


def premises(step: Step) -> tuple[str, ...]:
    return step.by.premises + ((step.after,) if step.after else ())


def refused(proof: Proof) -> bool:
    try:
        proof.check()
    except ProofError as error:
        return str(error).startswith(f"{proof.name}, step ") and len(str(error)) > len(proof.name) + 20
    return False


# ---------------------------------------------------------------- claims


def alterations(claim: Any) -> Iterator[tuple[str, Any]]:
    """Ways to alter a claim, most of them false, as (what, claim)."""
    for what, alter in ALTERATIONS.items():
        yield what, claim.func(claim.lhs, alter(claim.rhs), evaluate=False)
    yield "swapped relation", OPPOSITE[claim.func](claim.lhs, claim.rhs, evaluate=False)
    for side in claim.args:
        for term in side.args if side.is_Add else ():
            flipped = side - 2 * term
            yield f"sign of {term}", claim.func(*(flipped if s is side else s for s in claim.args), evaluate=False)


@pytest.mark.parametrize(("proof", "name"), HERE)
def test_no_false_claim_passes(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    tried = [(what, claim) for what, claim in alterations(step.claim) if false_somewhere(claim, step.assumes)]
    assert len(tried) >= 2
    for what, claim in tried:
        assert caught(PROOFS[proof], replace(step, claim=claim)), what


TRIVIAL = (
    Eq(0, 0, evaluate=False),
    Eq(8, 8, evaluate=False),
    Eq(n.x, n.x, evaluate=False),
    Eq(n.JSD(n.p_data(n.x), n.p_g(n.x)), n.JSD(n.p_data(n.x), n.p_g(n.x)), evaluate=False),
    Ge(1, 0, evaluate=False),
    Gt(2, 1, evaluate=False),
    Le(n.p_data(n.x), n.p_data(n.x), evaluate=False),
    Lt(n.p_g(n.x), n.p_g(n.x) + 1, evaluate=False),
    Gt(n.a, 0, evaluate=False),
    Gt(n.a + n.b, 0, evaluate=False),
    Lt(n.y, 1, evaluate=False),
    Lt(n.D(n.x), 2, evaluate=False),
    Lt(n.y - n.a, n.b + 1, evaluate=False),
    Ge(n.x**2, 0, evaluate=False),
)


@pytest.mark.parametrize(("proof", "name"), HERE)
def test_a_claim_that_says_nothing_is_refused(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    for claim in TRIVIAL:
        for rule in (step.by, Identity(), Sign()):
            with pytest.raises(Failed, match="says nothing"):
                replace(step, claim=claim, by=rule).needs({})


# ---------------------------------------------------------------- hypotheses and strictness


@pytest.mark.parametrize(("proof", "name"), HERE)
def test_no_hypothesis_can_be_dropped_added_or_exchanged(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    others = [one for one in HYPOTHESES if one not in step.assumes]
    tried = [(*step.assumes, one) for one in others]
    for i in range(len(step.assumes)):
        rest = step.assumes[:i] + step.assumes[i + 1 :]
        tried += [rest, (*step.assumes, step.assumes[i]), *((*rest, one) for one in others)]
    assert len(tried) >= len(HYPOTHESES) - len(step.assumes)
    for assumes in tried:
        assert caught(PROOFS[proof], replace(step, assumes=assumes)), assumes


INEQUALITIES = [p for p in STEPS if PROOFS[p.values[0]].step(p.values[1]).claim.func in STRICTNESS]  # type: ignore[index, arg-type]


@pytest.mark.parametrize(("proof", "name"), [step for step in INEQUALITIES if step in HERE])
def test_no_inequality_can_be_weakened_or_strengthened(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    claim = STRICTNESS[step.claim.func](*step.claim.args, evaluate=False)
    local = (h.Apart, h.Differ, h.Positive, h.Overlap)
    bare = tuple(one for one in step.assumes if not isinstance(one, local))
    for assumes in {step.assumes, bare, *((*bare, one) for one in HYPOTHESES if isinstance(one, local))}:
        assert caught(PROOFS[proof], replace(step, claim=claim, assumes=assumes)), assumes


def test_dropping_the_hypotheses_of_all_strict_steps_and_their_strictness_at_once_is_noticed() -> None:
    local = (h.Apart, h.Differ, h.Positive, h.Overlap)
    for proof in PROOFS.values():
        steps = tuple(
            replace(
                step,
                claim=STRICTNESS.get(step.claim.func, step.claim.func)(*step.claim.args, evaluate=False)
                if step.claim.func in (Lt, Gt)
                else step.claim,
                assumes=tuple(one for one in step.assumes if not isinstance(one, local)),
            )
            for step in proof.steps
        )
        assert steps == proof.steps or refused(replace(proof, steps=steps)), proof.name


# ---------------------------------------------------------------- premises and rules


def premises_altered(step: Step) -> Iterator[tuple[str, Step]]:
    """Each way to take a premise from a step, to weigh it otherwise, or to decide the step by another rule."""
    rule: Any = step.by
    if isinstance(rule, Follows):
        for i, use in enumerate(rule.uses):
            before, after = rule.uses[:i], rule.uses[i + 1 :]
            yield f"without {use.name}", replace(step, by=Follows((*before, *after)))
            yield f"{use.name} twice", replace(step, by=Follows((*rule.uses, use)))
            for factor in (-1, 2, 0, n.p_data(n.x) - n.p_g(n.x)):
                other = replace(use, weight=use.weight * factor)
                yield f"{use.name} times {factor}", replace(step, by=Follows((*before, other, *after)))
            swapped = replace(use, integrate=not use.integrate)
            yield f"{use.name} integrated or not", replace(step, by=Follows((*before, swapped, *after)))
            if use.at:
                yield f"{use.name} as it is", replace(step, by=Follows((*before, replace(use, at=()), *after)))
    else:
        for field in fields(rule):
            held = getattr(rule, field.name)
            if isinstance(held, str) and held:
                yield f"{field.name} misspelt", replace(step, by=replace(rule, **{field.name: held + "-"}))
                yield f"{field.name} dropped", replace(step, by=replace(rule, **{field.name: None}))
            if isinstance(held, tuple) and held:
                for i in range(len(held)):
                    yield (
                        f"{field.name} {i} dropped",
                        replace(step, by=replace(rule, **{field.name: held[:i] + held[i + 1 :]})),
                    )
                yield f"{field.name} with a stranger", replace(step, by=replace(rule, **{field.name: (*held, "-")}))
    if step.after:
        yield "not continued", replace(step, after=None)
    yield "continues a stranger", replace(step, after="nowhere")
    for other_rule in (Identity(), Sign(), LimitValue()):
        if type(other_rule) is not type(rule):
            yield f"by {type(other_rule).__name__}", replace(step, by=other_rule)


def still_a_proof(step: Step, proof: Proof) -> bool:
    """Whether deciding the step by algebra alone is right: then only the steps it used are now idle."""
    used = {name for other in proof.steps if other.name != step.name for name in premises(other)}
    return all(name in used or name in proof.results for name in premises(step))


@pytest.mark.parametrize(("proof", "name"), HERE)
def test_no_premise_or_rule_can_be_exchanged(proof: str, name: str) -> None:
    step = PROOFS[proof].step(name)
    survivors = []
    for what, altered in premises_altered(step):
        if what == "by Identity" and still_a_proof(step, PROOFS[proof]):
            continue  # the algebra is strong enough to see some sums and chains at once
        if caught(PROOFS[proof], altered) == (f"{name}: {what}" in EQUIVALENT):
            survivors.append(what)
    assert not survivors


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize(("proof", "name"), HERE)
def test_no_step_can_be_dropped_repeated_or_moved_up(proof: str, name: str) -> None:
    whole = PROOFS[proof]
    step = whole.step(name)
    rest = tuple(other for other in whole.steps if other.name != name)
    at = whole.steps.index(step)
    assert refused(replace(whole, steps=rest))
    again = replace(step, name="again")
    assert refused(replace(whole, steps=(*whole.steps, again), results=(*whole.results, "again")))
    if premises(step):
        first = min(whole.steps.index(whole.step(used)) for used in premises(step))
        assert refused(replace(whole, steps=(*rest[:first], step, *rest[first:])))
    idle = Step(
        "idle", "Nothing uses it.", Eq(n.Mixture(n.p_z(n.z), n.D(n.z)), n.p_z(n.z) / 2 + n.D(n.z) / 2), Identity()
    )
    assert refused(replace(whole, steps=(*whole.steps[:at], idle, *whole.steps[at:])))


@pytest.mark.parametrize("name", ALL)
def test_a_result_must_be_there_and_a_step_must_be_one_or_be_used(name: str) -> None:
    proof = PROOFS[name]
    used = {premise for step in proof.steps for premise in premises(step)}
    assert refused(replace(proof, results=(*proof.results, "nowhere")))
    for result in proof.results:
        fewer = tuple(other for other in proof.results if other != result)
        assert result in used or refused(replace(proof, results=fewer)), result


# ---------------------------------------------------------------- how it is said


def fails_at(proof: Proof, name: str) -> bool:
    with pytest.raises(ProofError, match=re.escape(f"{proof.name}, step {name!r}: ")) as raised:
        proof.check()
    return len(str(raised.value)) > len(proof.name) + len(name) + 10  # and it says why


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


def test_a_dropped_hypothesis_is_named() -> None:
    proof = global_optimum()
    fewer = proof.with_step("only-there", assumes=proof.step("only-there").assumes[1:])
    with pytest.raises(ProofError, match=r"'only-there': it needs a hypothesis that it does not make: .*neq"):
        fewer.check()


@pytest.mark.parametrize("claim", [true, false, k, Eq(k, k, evaluate=False) & Eq(k, 1)])
def test_a_claim_without_two_sides_is_no_proof(claim: Any) -> None:
    assert fails_at(lemma().with_step("value", claim=claim), "value")


def test_a_claim_sympy_cannot_decide_is_no_proof() -> None:
    proof = PROOFS["proposition_1"]
    assert fails_at(proof.with_step("change-of-variables", claim=Eq(k, k + n.t, evaluate=False)), "change-of-variables")
    assert fails_at(lemma().with_step("value", claim=Eq(S.NaN, n.t, evaluate=False)), "value")
