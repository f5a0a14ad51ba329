"""The rules that decide a step's claim, each by computing with the claim itself.

Each returns the hypotheses that the claim needs, those of the steps it uses among them. `calculus` and `follows` hold
the rules with more to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sympy import Eq, Ge, Gt

from ganlib.proofs.algebra import Failed, require_zero, sign
from ganlib.proofs.hypotheses import Hypothesis
from ganlib.proofs.kernel import STRICT, Context, Proof
from ganlib.proofs.notation import to_latex

Needs = frozenset[Hypothesis]
NONE: Needs = frozenset()


def excess(claim: Any) -> Any:
    """The side that is claimed to be larger minus the other, or left minus right for an equation."""
    return claim.lhs - claim.rhs if isinstance(claim, Eq | Ge | Gt) else claim.rhs - claim.lhs


def require_equation(claim: Any) -> None:
    if not isinstance(claim, Eq):
        raise Failed(f"it must be an equation, not {to_latex(claim)}")


def require_inequality(claim: Any) -> None:
    if isinstance(claim, Eq):
        raise Failed(f"it must be an inequality, not {to_latex(claim)}")


def zero(expr: Any, context: Context) -> Needs:
    return context.behind(require_zero(expr, context.known()))


def require_strict(claim: Any) -> None:
    """A weak claim where a strict one holds under the same hypotheses says less than is shown."""
    if not isinstance(claim, STRICT):
        raise Failed(f"the inequality {to_latex(claim)} is strict: say so")


class Alone:
    """Base of the rules that use no earlier step."""

    @property
    def premises(self) -> tuple[str, ...]:
        """None: such a rule cannot be made to name one."""
        return ()


@dataclass(frozen=True)
class Identity(Alone):
    """The two sides are equal for all densities, by definition, algebra, linearity and the known integrals."""

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        return zero(excess(claim), context)


@dataclass(frozen=True)
class Sign(Alone):
    """The inequality is strict by the signs of the terms."""

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_inequality(claim)
        if sign(excess(claim)) != 1:
            raise Failed(f"cannot confirm that {to_latex(excess(claim))} is positive")
        require_strict(claim)
        return NONE


@dataclass(frozen=True)
class Chain:
    """The claim joins the left side of the step `first` to the right side of `last`, along unbroken links."""

    first: str
    last: str

    @property
    def premises(self) -> tuple[str, ...]:
        return self.first, self.last

    def confirm(self, claim: Any, context: Context) -> Needs:
        require_equation(claim)
        first, link = context.source(self.first), context.source(self.last)
        if claim.lhs != first.claim.lhs or claim.rhs != link.claim.rhs:
            raise Failed(f"it does not join the two ends of the chain from {self.first!r} to {self.last!r}")
        needs = first.assumed
        while link.name != self.first:
            require_equation(link.claim)
            if link.after is None:
                raise Failed(f"the chain breaks at {link.name!r}")
            needs |= link.assumed
            link = context.source(link.after)
        require_equation(link.claim)
        return needs


@dataclass(frozen=True)
class Theorem(Alone):
    """The claim is a step of another proof, which is checked too."""

    proof: Proof
    step: str

    def confirm(self, claim: Any, context: Context) -> Needs:
        _checked(self.proof)
        if claim != self.proof.step(self.step).claim:
            raise Failed(f"it is not the step {self.step!r} of {self.proof.name}")
        return self.proof.step(self.step).assumed


@lru_cache(maxsize=64)
def _checked(proof: Proof) -> None:
    proof.check()
