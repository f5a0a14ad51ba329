"""No extra step proves a false statement: every rule is tried on every step and pair of steps of every proof.

An attacker may put anything into a step that its ranges allow, and what the proof's own words exclude: p_g = p_data
where the densities differ, D = D* where D is not the best, y = a / (a + b), t = 1, densities that do not integrate to
1. He declares whatever hypotheses help him. What the rules then accept must be true in every world of
``ganlib/tests/test_proofs_worlds.py``; the kernel's own worlds, its second net, are left out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, product
from typing import Any

import pytest
from sympy import Eq, FunctionClass, Ge, Gt, Le, Lt, S, log

from ganlib.proofs import ALL, Proof
from ganlib.proofs import hypotheses as h
from ganlib.proofs import notation as n
from ganlib.proofs.algebra import Failed
from ganlib.proofs.calculus import ByParts, ChangeOfVariables, Convexity, LimitValue, OnDisjointSupports, Root
from ganlib.proofs.follows import Follows, Use
from ganlib.proofs.kernel import Step
from ganlib.proofs.rules import Chain, Identity, Sign, Theorem, excess
from ganlib.tests.test_proofs_worlds import PROOFS, admits, every_world, holds, value

P, Q = n.p_data(n.x), n.p_g(n.x)
M = n.Mixture(P, Q)


def best(u: Any) -> Any:
    return n.OptimalD(n.p_data(u), n.p_g(u))


PUTS: dict[str, tuple[tuple[Any, Any], ...]] = {
    "as it is": (),
    "p_g is p_data": ((n.p_g, lambda u: n.p_data(u)),),
    "p_data is p_g": ((n.p_data, lambda u: n.p_g(u)),),
    "p_g is m": ((n.p_g, lambda u: n.Mixture(n.p_data(u), n.p_g(u))),),
    "p_data is p_theta": ((n.p_data, lambda u: n.p_theta(u, n.theta_0)),),
    "2 p_data": ((n.p_data, lambda u: 2 * n.p_data(u)),),
    "p_g / 3": ((n.p_g, lambda u: n.p_g(u) / 3),),
    "D is D*": ((n.D, best),),
    "D is 1/2": ((n.D, lambda u: S.Half),),
    "y is a / (a + b)": ((n.y, n.a / (n.a + n.b)),),
    "y is 1/2": ((n.y, S.Half),),
    "a and b are equal": ((n.b, n.a),),
    "2 a": ((n.a, 2 * n.a),),
    "t is 1": ((n.t, S.One),),
    "t is 2": ((n.t, S(2)),),
    "t is p_data / m": ((n.t, P / M),),
    "at x": ((n.a, P), (n.b, Q), (n.y, n.D(n.x))),
    "at x and D*": ((n.a, P), (n.b, Q), (n.y, best(n.x))),
    "at x, one density": ((n.a, P), (n.b, P), (n.y, n.D(n.x))),
    "theta is 0": ((n.theta_0, S.Zero),),
    "out of range": ((n.y, S(2)), (n.t, S.NegativeOne), (n.a, S.NegativeOne)),
    "D out of range": ((n.D, lambda u: 1 + n.D(u)),),
    "captured": ((n.D, lambda u: n.OptimalD(P, Q)),),
}
RELATIONS = {Eq: (Eq,), Ge: (Ge, Gt), Gt: (Ge, Gt), Le: (Ge, Gt), Lt: (Ge, Gt)}


@dataclass(frozen=True)
class Found:
    """A step that the rules accept: what it uses, its excess, its relation to 0, and what it needs."""

    uses: tuple[Use, ...]
    excess: Any
    relation: Any
    needs: frozenset[h.Hypothesis]


NORMALISED = (h.Normalised(P), h.Normalised(Q))
MODEL = (h.Normalised(n.p_theta(n.x, n.theta)), h.Smooth(n.p_theta(n.x, n.theta)))


def accepted(claim: Any, rule: Any, earlier: dict[str, Step], declared: Any = ()) -> frozenset[h.Hypothesis] | None:
    """The hypotheses under which the rules accept the claim, whatever has to be declared; None if they never do."""
    for more in (declared,) if declared else ((), NORMALISED, MODEL):
        try:
            return Step("extra", "An extra step.", claim, rule, tuple(more)).needs(earlier)
        except Failed:
            continue
        except Exception:  # `check` turns what SymPy cannot do into a ProofError
            return None
    return None


class Numbers:
    """The sides of many claims in every world, each computed once."""

    def __init__(self) -> None:
        self.known: dict[Any, list[float | None]] = {}
        self.met: dict[h.Hypothesis, list[bool]] = {}

    def of(self, expr: Any) -> list[float | None]:
        if expr not in self.known:
            self.known[expr] = [number(expr, world) for world in every_world()]
        return self.known[expr]

    def where(self, needs: frozenset[h.Hypothesis]) -> list[bool]:
        for one in needs - self.met.keys():
            self.met[one] = [admits(world, one) for world in every_world()]
        return [all(self.met[one][i] for one in needs) for i in range(len(every_world()))]


def number(expr: Any, world: Any) -> float | None:
    try:
        return float(value(expr, world, world.symbols))
    except (KeyError, OverflowError, TypeError, ValueError, ZeroDivisionError):
        return None  # the claim has no value here, as log(-D)


def require_true(found: Found, parts: tuple[Any, ...], numbers: Numbers) -> None:
    """The sum of `parts` stands in the relation to 0 in every world that meets the needs."""
    for i, meets in enumerate(numbers.where(found.needs)):
        sides = [numbers.of(part)[i] for part in parts]
        if meets and None not in sides:
            scale = max(1.0, *(abs(side) for side in sides))
            assert holds(found.relation, sum(sides) / scale, 0.0), (found, every_world()[i])  # type: ignore[arg-type]


def uses_of(proof: Proof) -> Iterator[Use]:
    """Every step with every substitution that changes it, integrated or not, and with a few weights."""
    for step in proof.steps:
        seen = set()
        for at, integrate, weight in product(PUTS.values(), (False, True), (S.One, S.NegativeOne, M)):
            use = Use(step.name, weight, at, integrate)
            try:
                part = part_of(use, proof)
            except ValueError:  # SymPy cannot even write it down
                continue
            if part not in seen and (weight == 1 or at == ()):
                seen.add(part)
                yield use


def extra(uses: tuple[Use, ...], proof: Proof, earlier: dict[str, Step], declared: Any = ()) -> Iterator[Found]:
    """The steps that the rules accept, of those that state what these uses add up to."""
    total = sum((part_of(use, proof) for use in uses), S.Zero)
    for relation in (Eq, Ge, Gt):
        needs = accepted(relation(total, 0, evaluate=False), Follows(uses), earlier, declared)
        if needs is not None:
            yield Found(uses, total, relation, needs)


def part_of(use: Use, proof: Proof) -> Any:
    """What a premise adds, put together here by plain replacement, without asking whether it may be."""
    part = use.weight * Substituted(use.at)(excess(proof.step(use.name).claim))
    return n.integral(part) if use.integrate else part


# What the steps' hypotheses exclude: these are tried in pairs as well.
EXCLUDED = [
    PUTS[name] for name in ("as it is", "p_g is p_data", "p_data is p_g", "D is D*", "y is a / (a + b)", "t is 1")
]


def pairs(found: list[Found], proof: Proof, earlier: dict[str, Step]) -> Iterator[Found]:
    """What the rules accept of the sums and differences of two steps, as they are or with what is excluded."""
    few: dict[Use, frozenset[h.Hypothesis]] = {}
    for one in found:
        if one.uses[0].at in EXCLUDED and one.uses[0].weight == 1:
            few[one.uses[0]] = few.get(one.uses[0], frozenset()) | one.needs
    for first, second in combinations_with_replacement(few, 2):
        for weight in (1, -1):
            if weight == 1 or isinstance(earlier[second.name].claim, Eq):
                uses = first, replace(second, weight=second.weight * weight)
                yield from extra(uses, proof, earlier, few[first] | few[second] | {h.Positive(P), h.Positive(Q)})


@pytest.mark.parametrize("name", ALL)
def test_no_extra_sum_of_steps_is_false(name: str) -> None:
    proof, numbers = PROOFS[name], Numbers()
    earlier = {step.name: step for step in proof.steps}
    found = [one for use in uses_of(proof) for one in extra((use,), proof, earlier)]
    for one in found:
        require_true(one, (one.excess,), numbers)
    both = list(pairs(found, proof, earlier))
    for one in both:
        require_true(one, tuple(part_of(use, proof) for use in one.uses), numbers)
    assert len(found) > 2 * len(proof.steps)
    assert len(both) > 5 * len(proof.steps)


# ---------------------------------------------------------------- the other rules


def others(proof: Proof) -> Iterator[tuple[Any, Any]]:
    """Every other rule on every step and pair of steps, with every claim that it could be meant for."""
    names = [step.name for step in proof.steps]
    claims = [step.claim for step in proof.steps]
    rule: Any
    for claim in claims:
        for put, relation in product(PUTS.values(), (Eq, Ge, Gt, Le, Lt)):
            try:
                sides = [Substituted(put)(side) for side in claim.args]
            except ValueError:
                continue
            for rule in (Identity(), Sign(), LimitValue(), ChangeOfVariables()):
                yield relation(*sides, evaluate=False), rule
    for first, last in product(names, repeat=2):
        yield Eq(proof.step(first).claim.lhs, proof.step(last).claim.rhs, evaluate=False), Chain(first, last)
        yield proof.step(first).claim, Theorem(proof, last)
        yield Eq(proof.step(first).claim.lhs, proof.step(last).claim.rhs, evaluate=False), Root(first)
        for claim, relation in product(claims, (Ge, Gt, Le, Lt)):
            if relation in (claim.func, {Le: Lt, Ge: Gt}.get(claim.func)):
                yield relation(*claim.args, evaluate=False), Convexity(n.y, curvature=first, value=last)
                yield relation(*claim.args, evaluate=False), Convexity(n.y, curvature=first, stationary=last)
                yield relation(*claim.args, evaluate=False), Convexity(n.t, curvature=first, inside=last)
        if proof.name == "jsd_bounds":
            for value_there in (log(2), 0, log(4)):
                rule = OnDisjointSupports(P, Q, "ratios", (first, last))
                yield Eq(proof.step("ratios").claim.lhs, value_there, evaluate=False), rule
        if proof.name == "frozen_discriminator":
            for claim in claims:
                yield claim, ByParts("gaussian-shift", first, last)


class Substituted:
    """Plain replacement."""

    def __init__(self, put: tuple[tuple[Any, Any], ...]) -> None:
        self.put = put

    def __call__(self, expr: Any) -> Any:
        for old, new in self.put:
            expr = expr.replace(old, new) if isinstance(old, FunctionClass) else expr
        return expr.xreplace({old: new for old, new in self.put if not isinstance(old, FunctionClass)})


@pytest.mark.parametrize("name", ALL)
def test_no_other_extra_step_is_false(name: str) -> None:
    proof, numbers, count = PROOFS[name], Numbers(), 0
    earlier = {step.name: step for step in proof.steps}
    for claim, rule in dict.fromkeys(others(proof)):
        needs = accepted(claim, rule, earlier)
        if needs is not None:
            count += 1
            sides = [numbers.of(side) for side in claim.args]
            for meets, left, right in zip(numbers.where(needs), *sides, strict=True):
                if meets and left is not None and right is not None:
                    assert holds(claim.func, left, right), (claim, rule)
    assert count >= len(proof.steps)
