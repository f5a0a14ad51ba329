"""The list of the paper's claims is held to the paper's parts, and to the tests and results that it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import claims
import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = claims.read(ROOT / "book" / "claims.yml")
BY_ID = {claim["id"]: claim for claim in LIST}
PAGES = [page.read_text(encoding="utf-8") for page in (ROOT / "book").glob("*.md")]
LABELS = {label for page in PAGES for label in re.findall(r"^\(([\w-]+)\)=$", page, re.M)}
NOT_JUDGED = 20  # "not run" and "opinion", today; at most 15 once Table 1, section 7 and DCGAN have been run
COVERED = [
    *(f"equation {number}" for number in range(1, 7)),
    *("Proposition 1", "Proposition 2", "Theorem 1", "Algorithm 1"),
    *(f"Figure {number}" for number in (1, 2, 3)),
    *("Table 1", "Table 2"),
    *(f"proposal {number}" for number in range(1, 6)),
]


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """What pytest collects in the files that are named, without parameters."""
    files = sorted({test.partition("::")[0] for claim in LIST for test in claim.get("tests", [])})
    assert [file for file in files if not (ROOT / file).is_file()] == []
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    found = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False, env=os.environ.copy())
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    return {line.partition("[")[0] for line in found.stdout.splitlines() if "::" in line}


def test_every_test_that_is_named_is_collected(collected: set[str]) -> None:
    missing = {test: claim["id"] for claim in LIST for test in claim.get("tests", []) if test not in collected}
    assert missing == {}


@pytest.mark.parametrize("identifier", BY_ID)
def test_a_verdict_has_what_it_needs(identifier: str) -> None:
    claim = BY_ID[identifier]
    tests, results = claim.get("tests", []), claim.get("results", [])
    assert len(tests) == len(set(tests))
    if claim["verdict"] in ("holds", "holds if"):
        assert tests, "a claim that holds has a test that fails without it"
        # What was changed so that one of them failed: shown once, when the claim was entered.
        shown = re.fullmatch(r".+, in `([\w/.]+)`: `(test_\w+)` fails\.", claim.get("negated", ""))
        assert shown, "say what was changed, where, and which test failed"
        assert (ROOT / shown[1]).is_file()
        assert shown[2] in {test.partition("::")[2] for test in tests}
    if claim["verdict"] == "not reproduced":
        assert results, "what was tried is in a committed result"
    if claim["verdict"] in ("not run", "opinion"):
        assert not tests
        assert "negated" not in claim
        assert len(claim["why"]) > 20, "the reason"
    for path in results:
        assert (ROOT / path).is_file(), path
        assert path.startswith(("book/results/", "benchmarks/results/"))
    assert claim["section"] in LABELS
    for field in ("claim", "false_if", "why"):
        assert claim.get(field, ".").rstrip(")").endswith((".", '."')), f"{field} is no whole sentence"
    assert not re.search(r'["“”]', claim.get("quote", "")), "a quotation brings its own quotation marks"


def test_the_order_is_the_papers() -> None:
    parts = [claims.part(claim["where"]) for claim in LIST]
    assert parts == sorted(parts, key=list(claims.OUTLINE).index)
    for what in ("equation", "proposal", "Figure", "Proposition", "Table"):
        numbers = [int(n) for claim in LIST for n in re.findall(rf", {what} (\d)", claim["where"])]
        assert numbers == sorted(numbers), what


def test_every_part_of_the_paper_has_its_claims() -> None:
    assert {claims.part(claim["where"]) for claim in LIST} == set(claims.OUTLINE)
    for what in COVERED:
        assert any(re.search(rf"\b{what}\b", claim["where"]) for claim in LIST), what


def test_few_claims_are_left_without_a_judgement() -> None:
    verdicts = Counter(claim["verdict"] for claim in LIST)
    assert verdicts["not run"] + verdicts["opinion"] <= NOT_JUDGED


def test_what_is_quoted_is_not_said_to_be_in_two_ways() -> None:
    """No words are quoted twice: each sentence of the paper is judged once."""
    quotes = Counter(claim["quote"] for claim in LIST if "quote" in claim)
    assert [quote for quote, count in quotes.items() if count > 1] == []
