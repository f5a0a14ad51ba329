"""The short proofs that a reader types: they need SymPy alone, are short, and print what the pages say they print."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[1] / "book"
CELL = re.compile(r"^```\{code-cell\} ipython3\n(from sympy import .*?)^```$", re.M | re.S)


def typed(page: str) -> str:
    """The code of the first cell of a page that begins with SymPy."""
    return CELL.search((BOOK / f"{page}.md").read_text(encoding="utf-8"))[1]


@pytest.mark.parametrize(
    ("page", "printed"),
    [
        ("optimal-discriminator", ["best y: a/(a + b)", "-(a/y**2 + b/(y - 1)**2)", "(-a - b)**3/(a*b)"]),
        ("global-optimum", ["(-p - q)*log(2)"]),
        ("divergences", ["log(((p + q)/p)**p)", "vanishes: 0"]),
    ],
)
def test_the_short_proof_of_a_page(page: str, printed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = typed(page)
    tree = ast.parse(code)
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == {"sympy"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))
    assert len(tree.body) <= 7
    exec(code, {})
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(printed)
    for line, part in zip(lines, printed, strict=True):
        assert line.endswith(part), line


def test_with_one_jsd_for_two_the_short_proof_fails() -> None:
    names: dict = {}
    exec(typed("global-optimum"), names)
    p, q, m, log, simplify = (names[name] for name in ("p", "q", "m", "log", "simplify"))
    one_jsd = (p * log(p / m) + q * log(q / m)) / 2
    left = simplify(names["criterion"] - one_jsd)
    constant = left.diff(p, 2)  # of c p + d q, which integrates to c + d
    assert constant != 0
    assert simplify(names["criterion"] - 2 * one_jsd).diff(p, 2) == 0
