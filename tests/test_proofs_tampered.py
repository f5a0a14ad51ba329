"""The tampering of ganlib/tests/test_proofs_tampered.py with every step of the longer proofs."""

from __future__ import annotations

import pytest

from ganlib.tests import test_proofs_tampered as tampered
from ganlib.tests.test_proofs_worlds import STEPS

ELSEWHERE = [step for step in STEPS if step not in tampered.HERE]
INEQUALITIES = [step for step in tampered.INEQUALITIES if step in ELSEWHERE]


@pytest.mark.parametrize(("proof", "name"), ELSEWHERE)
def test_no_claim_hypothesis_premise_rule_or_place_can_be_altered(proof: str, name: str) -> None:
    tampered.test_no_false_claim_passes(proof, name)
    tampered.test_a_claim_that_says_nothing_is_refused(proof, name)
    tampered.test_no_hypothesis_can_be_dropped_added_or_exchanged(proof, name)
    tampered.test_no_premise_or_rule_can_be_exchanged(proof, name)
    tampered.test_no_step_can_be_dropped_repeated_or_moved_up(proof, name)


@pytest.mark.parametrize(("proof", "name"), INEQUALITIES)
def test_no_inequality_can_be_weakened_or_strengthened(proof: str, name: str) -> None:
    tampered.test_no_inequality_can_be_weakened_or_strengthened(proof, name)
