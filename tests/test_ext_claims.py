"""The page of claims: what it draws, what it refuses, and that its script and style are on no other page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import claims
import pytest
import yaml
from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError
from sphinx_pages import build

CONF = """\
source_suffix = {'.md': 'markdown'}
extensions = ['myst_parser', 'claims']
myst_enable_extensions = ['dollarmath']
exclude_patterns = ['_build']
"""
SOUND: dict[str, Any] = {
    "id": "equation-9",
    "where": "Section 3, equation 9",
    "kind": "equation",
    "quote": "some $x$",
    "claim": "is positive.",
    "false_if": "It is not.",
    "verdict": "holds if",
    "condition": "it is",
    "why": "So it is.",
    "section": "sec-there",
    "tests": ["tests/test_a.py::test_b"],
    "results": ["book/results/a.json"],
    "negated": "With a minus sign it fails.",
}
OPINION = {
    "id": "taste",
    "where": "Abstract",
    "kind": "remark",
    "claim": "It is good.",
    "false_if": "Nothing.",
    "verdict": "opinion",
    "why": "Good has no measure.",
    "section": "sec-there",
}


def built(folder: Path, *listed: dict[str, Any]) -> tuple[BeautifulSoup, list[str]]:
    (folder / "claims.yml").write_text(yaml.safe_dump(list(listed)))
    (folder / "index.md").write_text("(sec-there)=\n# There\n\n```{toctree}\nlist\n```\n")
    (folder / "list.md").write_text("# List\n\n```{claims} claims.yml\n```\n")
    pages, warnings = build(folder, CONF)
    return BeautifulSoup((pages / "list.html").read_text(), "html.parser"), warnings.splitlines()


def test_every_claim_is_drawn_in_the_papers_outline(tmp_path: Path) -> None:
    page, warnings = built(tmp_path, SOUND, OPINION)
    assert warnings == []
    assert [" ".join(h.text.split()).rstrip("¶#") for h in page.select("h2")] == ["Abstract", "3 Adversarial nets"]
    counts = [" ".join(item.text.split()).partition(":")[0] for item in page.select(".claim-counts li")]
    assert counts == ["Holds 0", "Holds if 1", "Not reproduced 0", "Not run 0", "Opinion 1"]

    opinion, sound = page.select(".claim")
    assert (opinion["id"], sound["id"]) == ("claim-taste", "claim-equation-9")
    assert sound.select_one(".claim-head").text == "Holds if equation; section 3, equation 9"
    assert sound.select_one(".claim-said").text.startswith("“some")
    assert "If it is. So it is. See There." in sound.text
    assert sound.select_one("a[href='index.html#sec-there']")
    folded = sound.select_one("details")
    assert folded.select_one("summary").text == "False if, tests, results, negated"
    assert [each.text for each in folded.select("dt")] == ["False if", "Tests", "Results", "Negated"]
    assert [each.text for each in folded.select("code")] == SOUND["tests"] + SOUND["results"]
    assert [each.text for each in opinion.select("dt")] == ["False if"]
    assert not page.select(".body :is([hidden], input)")  # without JavaScript all is shown, and nothing promises more


def test_script_and_style_are_on_the_page_with_claims_only(tmp_path: Path) -> None:
    page, _ = built(tmp_path, SOUND)
    other = BeautifulSoup((tmp_path / "_build" / "html" / "index.html").read_text(), "html.parser")
    for name in ("script[src*='claims.js']", "link[href*='claims.css']"):
        assert len(page.select(name)) == 1
        assert other.select(name) == []


WRONG = {
    "no verdict is called 'true'": {"verdict": "true", "condition": None},
    "false_if is missing": {"false_if": ""},
    "why is missing": {"why": None},
    "no field is called verdic": {"verdic": "holds"},
    "where is 'Section 8, line 1'; begin with one of Abstract": {"where": "Section 8, line 1"},
    "neither quote nor claim": {"quote": "", "claim": ""},
    "a condition belongs to the verdict 'holds if'": {"condition": None},
    "and to no other": {"verdict": "holds"},
    "tests is 'tests/test_a.py'; write a list": {"tests": "tests/test_a.py"},
}


@pytest.mark.parametrize("says", WRONG)
def test_a_list_that_is_wrong_stops_the_build_by_the_claims_name(tmp_path: Path, says: str) -> None:
    (tmp_path / "claims.yml").write_text(yaml.safe_dump([OPINION, SOUND | WRONG[says]]))
    with pytest.raises(ExtensionError, match=f"claim equation-9: .*{says}"):
        claims.read(tmp_path / "claims.yml")


def test_a_claim_without_a_name_and_a_name_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump([OPINION, {"where": "Abstract"}]))
    with pytest.raises(ExtensionError, match="claim number 2: id is missing"):
        claims.read(path)
    path.write_text(yaml.safe_dump([SOUND, SOUND]))
    with pytest.raises(ExtensionError, match="claim equation-9: its id stands 2 times"):
        claims.read(path)


def test_a_list_that_is_wrong_stops_sphinx(tmp_path: Path) -> None:
    with pytest.raises(ExtensionError, match="claim taste: why is missing"):
        built(tmp_path, OPINION | {"why": ""})


def test_an_unknown_label_is_complained_of_in_every_build_by_the_claims_name(tmp_path: Path) -> None:
    for _ in range(2):  # the page is read in the first only
        _, warnings = built(tmp_path, OPINION, SOUND | {"section": "sec-nowhere"})
        (said,) = [line for line in warnings if "ganlib.claims" in line]
        assert "list.md:3: WARNING: claim equation-9: no section of the book has the label 'sec-nowhere'" in said
