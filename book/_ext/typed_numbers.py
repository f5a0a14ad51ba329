"""Refuse measured-looking numbers that were typed: in prose each comes from a cell, a committed result or a source.

Looked at is every sentence a reader sees: paragraphs, list items, table cells, captions, boxes, what links say, raw
HTML and, but for places on axes, what is said of a picture. Not looked at are code, mathematics, titles, what cells
print, docstrings, and what is quoted, in quotation marks or as a block that names whose words they are.

A number looks measured if it has a decimal point, a per cent sign, a power of ten, a ± or a unit of measurement, is a
ratio ("30 times faster"), is approximate ("about 240") or counts hits ("7 of 8"). Allowed are ``{glue:text}``,
``{result}`` and ``{published}``, code and mathematics (for settings and what is derived: no ±, and no formula that is a
number with a unit after it), and plain counts.
A ``{published}`` number names its source, or a citation or the paper is named in the same section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from complaints import line_of, note
from docutils import nodes
from results import quoted_number
from sphinx import addnodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = "\ufffc"  # stands for what is allowed: a quoted result, a formula, code
N = r"(?<![\w.,/^\ufffc-])[-+\u2212\u2013]?(?:\d[\d,]*\d|\d)(?![\w,]*\d)"
TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
WORD = (
    rf"(?:(?:{TENS})-)?(?:two|three|four|five|six|seven|eight|nine)|(?:{TENS})(?:-one)?|ten|eleven|twelve|thirteen|"
    "fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|(?:a )?hundred|(?:a )?thousand|(?:a )?million|half an?|"
    "a dozen"
)
UNIT = (
    r"nats?|bits?|seconds?|secs?|s|minutes?|mins?|hours?|h|days?|milliseconds?|ms|µs|μs|microseconds?|ns|"
    r"[kKMG]i?B|(?:kilo|mega|giga)bytes?|bytes|[kMGT]?Hz|[kMGT]?(?:FLOPS?|flops?)|°C|watts?|percentage points|"
    r"(?:\w+ )?(?:a|per) (?:second|minute|hour)|(?:\w+)/s"
)
MORE = r"as|more|fewer|less|faster|slower|larger|smaller|longer|shorter|greater|higher|lower|better|worse|that|the|what"
# In words, a ratio of results; those of settings ("three times as many updates", "twice as long") are left alone.
BETTER = "faster|slower|quicker|better|worse|higher|lower|greater|likelier|sharper|cheaper|more|fewer|less"
WELL = "fast|slow|quick|quickly|slowly|good|well|bad|badly|high|low|great|likely|often|sharp|cheap|expensive|accurate"
ABOUT = "about|around|roughly|approximately|nearly|almost|circa|close to|just under|just over|just above"
RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        ("±", r"(?:\d[\d.,]*|\ufffc)\s*(?:±|\+/?-)\s*\.?\d+(?:\.\d+)?|\d[\d.,]*\s*(?:±|\+/?-)"),
        ("a power of ten", r"(?<![\w.])[-\u2212]?\d[\d.]*(?:e[-+]?\d+|\s*[×·]\s*10(?=[-\u2212^]))(?!\w)"),
        ("a percentage", r"(?<![\w])[\d.,]*\d[\s\u2010\u2011-]*(?:%|per[ -]?cent\b|percentage)"),
        ("a percentage", rf"(?i:\b(?:{WORD})[\s-]+per[ -]?cent\b)"),
        ("a decimal", r"(?<![\w/])[-\u2212]?\d*\.\d+(?![\w]|\.\d)"),
        (
            "a number with a unit",
            rf"{N}(?:\s+(?:to|and|or)\s+{N}|\s*\u2013\s*\d[\d,]*|\.\d+)?[\s\u00a0\u202f-]*(?:{UNIT})\b",
        ),
        ("a number with a unit", rf"(?i:\b(?:{WORD}))[ -](?:nats|bits|seconds|minutes|hours|milliseconds|megabytes)\b"),
        ("a ratio", rf"(?:{N}(?:\.\d+)?\s*(?:times (?:{MORE})\b|-?fold\b|[×x](?![\w\s]*\d|\w)))|\bfactors? of {N}"),
        ("a ratio", rf"(?i:\b(?:(?:{WORD}) times (?:{BETTER})|(?:(?:{WORD}) times|twice) as (?:{WELL}))\b)"),
        ("an approximate number", rf"(?i:(?:\b(?:{ABOUT})\s|[~≈≲≳])\s*){N}"),
        ("a negative number", r"(?<![\w.,^/)\]\ufffc-])[-\u2212]\d[\d,]*(?!\w)"),
    )
)
# Words whose number is a name: parts of a text, and versions; of the first kind those that are counted only.
COUNTED = "parts?|steps?|tables?|figures?"
DOTTED = (
    r"sections?|chapters?|equations?|eqs?\.|algorithms?|propositions?|theorems?|lemmas?|exercises?|appendix|"
    r"arxiv[: ]+(?:number )?|version|format|python|torch|pytorch|torchvision|numpy|scipy|sympy|sphinx|mlxtend|"
    r"jupyter book|cuda|licen[cs]e|cc[- ]by(?:-sa)?|http/|sha-?"
)
NO_MEASURE = rf"(?![\s-]*(?:{UNIT})\b|[\s-]*(?:%|per[ -]?cent\b)|\s*(?:times\b|±))"
COUNT, NUMBER = rf"(?>\d+)(?![.,]?\d){NO_MEASURE}", rf"(?>\d[\d.]*){NO_MEASURE}"
ON = r"(?:,? (?:and|to|or) |, (?=[\d., ]*(?:and|or) )|\s*[-\u2013]\s*)"  # a list goes on
NAMED = re.compile(
    rf"(?i:\b(?:{COUNTED})\s*)\(?{COUNT}(?:{ON}\(?{COUNT})*|(?i:\b(?:{DOTTED})\s*)v?\(?{NUMBER}(?:{ON}\(?{NUMBER})*"
    r"|\b\d\.\d(?=, (?:Proposition|Theorem|Lemma))"
)
OF_A_PICTURE = ("±", "a power of ten", "a percentage", "a number with a unit", "a ratio")
HITS = re.compile(rf"({N}) (?:out )?of (?:the |its |all )?({N})")  # the first must be the smaller
QUOTED = re.compile(r"\u201c[^\u201c\u201d]{0,300}\u201d|\"[^\"]{0,300}\"")
AROUND = r"[\s{},;:!\\]*"  # groups and spaces of a formula
SPREAD = re.compile(rf"(?<=\d){AROUND}(?:\\pm(?![a-zA-Z])|±){AROUND}(?=[\d.])")
# A formula that is a number and nothing else, and what makes it a measured one.
BARE = re.compile(rf"{AROUND}(?:\\(?:approx|sim))?{AROUND}[-+]?\d[\d.]*(?:[\s{{}},;:!\\]+[\d.]+)*{AROUND}")
MEASURE = re.compile(rf"[\s\u00a0\u202f-]+(?:{UNIT})\b|\s*(?:%|per[ -]?cent\b)")
SKIPPED = (
    nodes.literal, nodes.literal_block, nodes.doctest_block, nodes.math, nodes.math_block, nodes.title,
    nodes.subtitle, nodes.rubric, nodes.comment, nodes.citation, nodes.footnote_reference, nodes.citation_reference,
    nodes.problematic, nodes.system_message, nodes.target, nodes.label, nodes.substitution_definition, nodes.meta,
    addnodes.desc, addnodes.toctree, addnodes.index, addnodes.number_reference, addnodes.download_reference,
)  # fmt: skip
IN_A_LINE = {"a", "abbr", "b", "cite", "em", "i", "mark", "small", "span", "strong", "sub", "sup", "u"}  # part no words
UNREAD = {"code", "kbd", "pre", "samp", "script", "style"}

REMEDY = (
    "compute it in a cell and {glue:text} it, quote a committed result with {result}, another's number with "
    "{published}, or write a setting as code, or as mathematics without a unit after it"
)


def problems(text: str, *, picture: bool = False) -> list[tuple[str, str]]:
    """The measured-looking numbers of ``text`` in their order: what each looks like, and the words.

    Parameters
    ----------
    text : a sentence, or more.
    picture : it says what a picture shows, which may name places on its axes: decimals and signs are no results there.

    Examples
    --------
    >>> problems("The score is 225.3 nats; about 30 are left of the 10,000 samples of section 5.1.")
    [('a decimal', '225.3'), ('an approximate number', 'about 30')]
    """
    for mask in (QUOTED, NAMED):
        text = mask.sub(lambda match: HERE * len(match[0]), text)
    found = [(match.span(), what) for what, rule in RULES for match in rule.finditer(text)]
    if picture:
        return [(what, text[slice(*span)].strip()) for span, what in sorted(found) if what in OF_A_PICTURE]
    hits = (match for match in HITS.finditer(text) if count(match[1]) <= count(match[2]))
    found += [(match.span(), "a count of hits") for match in hits]
    kept: list[tuple[int, int]] = []
    named = []
    for (start, end), what in found:
        if all(end <= other[0] or start >= other[1] for other in kept):
            kept.append((start, end))
            named.append((start, what, text[start:end].strip()))
    return [(what, words) for _, what, words in sorted(named)]


def count(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def is_output(node: nodes.Element) -> bool:
    return node.get("nb_element") in ("cell_code_source", "cell_code_output")


def from_a_role(node: nodes.Element) -> bool:
    """Whether a number was computed, or quoted by a role; what only has the class of one, an author has typed."""
    return isinstance(node, quoted_number) or "computed" in node


def mark_computed(app: Sphinx) -> None:
    """Have ``{glue:text}`` mark what it makes, which else differs from a span of the same class in nothing."""
    if not app.registry.has_domain("glue"):
        return
    roles = app.env.get_domain("glue").roles
    role = roles["text"]

    def marked(*arguments: Any, **options: Any) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found, messages = role(*arguments, **options)
        for node in found:
            if isinstance(node, nodes.Element):
                node["computed"] = True
        return found, messages

    roles["text"] = marked


def is_code(node: nodes.literal_block) -> bool:
    """Whether a literal block is code; a parsed-literal, which has text, names neither language nor file."""
    return "language" in node or "source" in node


class Words(HTMLParser):
    """The text that a reader sees of raw HTML, code left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.unread = "", 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.unread += tag in UNREAD
        self.words += "" if tag in IN_A_LINE else " "

    def handle_endtag(self, tag: str) -> None:
        self.unread -= tag in UNREAD and self.unread > 0
        self.words += "" if tag in IN_A_LINE else " "

    def handle_data(self, data: str) -> None:
        self.words += HERE if self.unread else data


def shown(node: nodes.Node) -> str:
    """The sentence of a block, what is allowed in it replaced by one character."""
    if isinstance(node, nodes.Text):
        return str(node.astext())
    assert isinstance(node, nodes.Element)
    if isinstance(node, nodes.image):
        return ""
    if isinstance(node, nodes.raw):
        return Words(node.astext()).words if "html" in node.get("format", "") else ""
    if isinstance(node, nodes.math | nodes.math_block | nodes.literal) and SPREAD.search(node.astext()):
        return SPREAD.sub(" ± ", node.astext())  # no setting has a spread: this is a result in disguise
    if isinstance(node, nodes.literal_block) and not is_code(node):
        return "".join(shown(child) for child in node.children)
    if isinstance(node, SKIPPED) or from_a_role(node) or not node.children:
        return HERE
    if isinstance(node, addnodes.pending_xref) and not node.get("refexplicit"):
        return HERE
    if isinstance(node, nodes.reference) and (node.astext() == node.get("refuri") or "internal" in node):
        return HERE
    words = ""
    for child in reversed(node.children):
        is_number = isinstance(child, nodes.math) and BARE.fullmatch(child.astext()) and MEASURE.match(words)
        words = (re.sub(r"[^\d.+-]", "", child.astext()) if is_number else shown(child)) + words
    return words


def is_quotation(node: nodes.Element) -> bool:
    """Whether a block quote says whose words it has."""
    return next(node.findall(lambda part: isinstance(part, nodes.attribution) or cites(part)), None) is not None


def cites(node: nodes.Node) -> bool:
    return isinstance(node, addnodes.pending_xref) and node.get("refdomain") == "cite"


def sentences(node: nodes.Element, output: bool = False) -> Iterator[tuple[nodes.Element, str]]:
    """Every block of text below ``node`` that is looked at, with its text."""
    for child in node.children:
        if not isinstance(child, nodes.Element):
            continue
        if isinstance(child, nodes.title) and isinstance(node, nodes.table):  # a caption by another name
            yield child, "".join(shown(part) for part in child.children)
            continue
        if isinstance(child, SKIPPED) and shown(child) == HERE:
            continue
        if (isinstance(child, nodes.block_quote) and is_quotation(child)) or ":docstring of " in (child.source or ""):
            continue
        inside = output or is_output(child)
        if isinstance(child, nodes.image) and child.get("alt"):
            yield child, child["alt"]
        elif isinstance(child, nodes.caption) or (isinstance(child, nodes.TextElement) and not inside):
            yield child, shown(child)
            for image in child.findall(nodes.image):
                yield image, image.get("alt", "")
        else:
            yield from sentences(child, inside)


def sourceless(node: nodes.Element) -> bool:
    """Whether a published number's section names no source: no citation, and not the paper."""
    if node.get("key"):
        return False
    section: nodes.Element = node
    while section.parent is not None and not isinstance(section, nodes.section):
        section = section.parent
    named = next(section.findall(cites), None) is not None
    return not named and re.search(r"\b(?:the|this|its) paper\b|\bTable [12]\b", section.astext()) is None


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Complain about the page just read."""
    for node, text in sentences(doctree):
        for what, words in problems(text, picture=isinstance(node, nodes.image)):
            place = text.find(words)
            around = " ".join(text[max(0, place - 30) : place + len(words) + 30].replace(HERE, "…").split())
            message = f"a typed number, {words!r} ({what}), in {around!r}: {REMEDY}"
            note(app.env, "numbers", line_of(node), message)
    for node in doctree.findall(quoted_number):
        if "published" in node["classes"] and sourceless(node):
            message = f"the published number {node.astext()!r} names no source: cite it in this section, or write "
            message += f"{{published}}`{node.astext()} <key>` with a key of references.bib"
            note(app.env, "numbers", line_of(node), message)


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("complaints")
    app.connect("builder-inited", mark_computed)
    app.connect("doctree-read", collect)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
