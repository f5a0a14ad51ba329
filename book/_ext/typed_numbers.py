"""Refuse measured-looking numbers that were typed: in prose each comes from a cell, a committed result or a source.

A number looks measured if it has a decimal point, a per cent sign or a ±, or is a ratio ("30 times faster", "2×").
Looked at are the text of a page, its captions, and what is said of its pictures, where a decimal may be a place on an
axis. Not looked at are code, mathematics (but for a ±, which no setting has), titles, what cells print, docstrings,
raw HTML, and what is quoted. Allowed are ``{glue:text}``, ``{result}`` and ``{published}``, and plain counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from complaints import look
from docutils import nodes
from results import quoted_number
from sphinx import addnodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = "\ufffc"  # stands for what is allowed
MORE = "as|more|fewer|less|faster|slower|larger|smaller|longer|shorter|greater|higher|lower|better|worse|that|the|what"
NUMBER = r"(?<![\w.,/])[-+\u2212]?\d(?:[\d.,]*\d)?"
TYPED = {
    "±": r"\d[\d.,]*\s*(?:±|\+/?-)(?:\s*\d+(?:\.\d+)?)?|±\s*\d+",
    "a percentage": rf"{NUMBER}[\s\u00a0-]*(?:%|per[ -]?cent)",
    "a ratio": rf"{NUMBER}(?:\s*times (?:{MORE})\b|-?fold\b|\s*[×x](?!\s*\d|\w))|\bfactors? of {NUMBER}",
    "a power of ten": rf"{NUMBER}(?:e[-+]?\d+\b|\s*[×·]\s*10(?=[-\u2212^]))",
    "a decimal": r"(?<![\w/.])[-\u2212]?\d*\.\d+(?!\w|\.\d)",
}
RULES = {what: re.compile(pattern) for what, pattern in TYPED.items()}
# Words whose decimal is a name, of parts of a text or of versions, and a list of such; and what is quoted.
NAMED = re.compile(
    r"(?i:\b(?:sections?|chapters?|equations?|algorithms?|propositions?|theorems?|lemmas?|exercises?|appendix|"
    r"arxiv(?::| number)|version|python|torch|pytorch|numpy|sphinx|jupyter book|cuda|cc[- ]by(?:-sa)?|http/)\s*)"
    r"[\d.]+(?:(?:, | and | to | or |[-\u2013])[\d.]+)*(?![\d.]*\s*(?:%|±|times))"
    r"|\d\.\d(?=, (?:Proposition|Theorem|Lemma))|\u201c[^\u201c\u201d]{0,300}\u201d|\"[^\"]{0,300}\""
)
SPREAD = re.compile(r"(?<=\d)[\s{},;:!\\]*(?:\\pm(?![a-zA-Z])|±)[\s{},;:!\\]*(?=[\d.])")  # of a formula, or as code
SKIPPED = (
    nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.title, nodes.raw, nodes.comment,
    nodes.citation, nodes.footnote_reference, nodes.problematic, nodes.system_message, nodes.label, quoted_number,
    addnodes.desc, addnodes.toctree, addnodes.number_reference,
)  # fmt: skip
REMEDY = (
    "compute it in a cell and {glue:text} it, quote a committed result with {result}, another's number with "
    "{published}, or write a setting as code or as mathematics"
)


def problems(text: str, *, decimals: bool = False) -> list[tuple[str, str]]:
    """The measured-looking numbers of a text, each once: what it looks like, and the words; ``decimals`` are allowed.

    Examples
    --------
    >>> problems("The score is 225.3 nats, 30 times better, for the 10,000 samples of section 5.1.")
    [('a ratio', '30 times better'), ('a decimal', '225.3')]
    """
    text = NAMED.sub(lambda match: HERE * len(match[0]), text)
    found = []
    for what, rule in RULES.items():
        found += [(what, match[0].strip()) for match in rule.finditer(text) if not (decimals and what == "a decimal")]
        text = rule.sub(lambda match: HERE * len(match[0]), text)  # what one rule has found the next leaves
    return found


def is_prose(text: nodes.Node) -> bool:
    """Whether a reader takes a text for the author's, by what it stands in."""
    node = text.parent
    while node is not None:
        if isinstance(node, nodes.caption) or (isinstance(node, nodes.title) and isinstance(node.parent, nodes.table)):
            return True  # even below what a cell draws
        if isinstance(node, SKIPPED) or "pasted-text" in node["classes"] or ":docstring of" in (node.source or ""):
            return False
        if node.get("nb_element") in ("cell_code_source", "cell_code_output"):
            return False
        if isinstance(node, nodes.block_quote) and any(map(is_source, node.findall())):
            return False
        node = node.parent
    return True


def is_source(node: nodes.Node) -> bool:
    """Whether it names whose words a quotation has."""
    return isinstance(node, nodes.attribution) or (isinstance(node, nodes.Element) and node.get("refdomain") == "cite")


def is_block(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TextElement) and not isinstance(node, nodes.Inline)


def find(document: nodes.document) -> Iterator[tuple[nodes.Node, str]]:
    """The typed numbers of a page."""
    texts = [(image, image.get("alt", ""), True) for image in document.findall(nodes.image)]
    for block in document.findall(is_block):
        words = (text.astext() if is_prose(text) else HERE for text in block.findall(nodes.Text))
        texts.append((block, "".join(words), False))
    for formula in document.findall(lambda node: isinstance(node, nodes.math | nodes.math_block | nodes.literal)):
        if SPREAD.search(code := formula.astext()):
            texts.append((formula, SPREAD.sub(" ± ", code), True))
    for node, text, decimals in texts:
        for what, number in problems(text, decimals=decimals):
            place = text.find(number)
            around = " ".join(text[max(0, place - 30) : place + len(number) + 30].replace(HERE, "…").split())
            yield node, f"a typed number, {number!r} ({what}), in {around!r}: {REMEDY}"


def setup(app: Sphinx) -> dict[str, Any]:
    look(app, "numbers", find)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
