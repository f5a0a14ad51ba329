"""The paper's statements, proved in SymPy for arbitrary densities and checked step by step.

Examples
--------
>>> from ganlib.proofs import global_optimum
>>> proof = global_optimum()
>>> print(str(proof.check()).splitlines()[0])
Theorem 1: the global optimum: all 21 steps hold

A step's claim can be altered, and is then found out:

>>> from sympy import Eq
>>> claim = proof.step("half-the-sum").claim
>>> proof.with_step("half-the-sum", claim=Eq(claim.lhs, 2 * claim.rhs, evaluate=False)).check()
Traceback (most recent call last):
  ...
ganlib.proofs.kernel.ProofError: global_optimum, step 'half-the-sum': ...
"""

from __future__ import annotations

from collections.abc import Callable

from ganlib.proofs.bounds import jsd_bounds
from ganlib.proofs.frozen import frozen_discriminator
from ganlib.proofs.kernel import Proof, ProofError, Report, Step
from ganlib.proofs.lemma import lemma
from ganlib.proofs.optimum import global_optimum
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
    "frozen_discriminator",
    "global_optimum",
    "jsd_bounds",
    "lemma",
    "proposition_1",
]
