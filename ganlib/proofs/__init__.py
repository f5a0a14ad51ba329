"""The paper's statements, proved in SymPy for arbitrary densities and checked step by step.

`kernel` says what is trusted, `hypotheses` what a step may assume, `rules`, `calculus` and `follows` how it is decided,
and `worlds` computes every claim on concrete distributions as well.

Examples
--------
>>> from ganlib.proofs import global_optimum
>>> proof = global_optimum()
>>> print(str(proof.check()).splitlines()[0])
Theorem 1: the global optimum: all 21 steps hold

A step can be altered, and is then found out; so are a hypothesis that is dropped and a step that nothing uses:

>>> from sympy import Eq
>>> claim = proof.step("half-the-sum").claim
>>> proof.with_step("half-the-sum", claim=Eq(claim.lhs, 2 * claim.rhs, evaluate=False)).check()
Traceback (most recent call last):
  ...
ganlib.errors.ProofError: global_optimum, step 'half-the-sum': ...
>>> proof.with_step("only-there", assumes=()).check()
Traceback (most recent call last):
  ...
ganlib.errors.ProofError: global_optimum, step 'only-there': ...
"""

from __future__ import annotations

from collections.abc import Callable

from ganlib.errors import ProofError
from ganlib.proofs.bounds import jsd_bounds
from ganlib.proofs.frozen import frozen_discriminator
from ganlib.proofs.kernel import Proof, Report, Step
from ganlib.proofs.lemma import lemma
from ganlib.proofs.optimum import global_optimum
from ganlib.proofs.rendering import folded
from ganlib.proofs.value import proposition_1

ALL: dict[str, Callable[[], Proof]] = {
    proof.__name__: proof for proof in (lemma, proposition_1, global_optimum, jsd_bounds, frozen_discriminator)
}

__all__ = [
    "ALL",
    "Proof",
    "ProofError",
    "Report",
    "Step",
    "folded",
    "frozen_discriminator",
    "global_optimum",
    "jsd_bounds",
    "lemma",
    "proposition_1",
]
