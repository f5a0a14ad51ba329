"""A resolved page of the book as plain Markdown and LaTeX, which Colab, JupyterLab and GitHub render alike.

It starts from the doctree that Sphinx has resolved, so numbers, citations and titles are those of the page. What it
must not leave in the text: directives, roles, labels, and macros that only the book's own MathJax knows. It has rules
for what chapters use; any other node is reported, which fails a strict build, and its content is written all the same.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import notebook_addresses as addresses
from docutils import nodes
from markdown_latex import display, inline
from sphinx import addnodes
from sphinx.locale import admonitionlabels
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.builders import Builder

logger = logging.getLogger(__name__)

LANGUAGES = {"ipython3": "python", "default": "", "none": "", "myst-ansi": ""}
WRAPPING = {"emphasis": "*{}*", "strong": "**{}**"}
SILENT = {"comment", "index", "meta", "substitution_definition", "system_message", "toctree"}  # a reader sees nothing
TRANSPARENT = {"compound", "container", "section"}  # only their children are written


def escape(text: str) -> str:
    """``text`` with what Markdown or LaTeX would read as markup made literal."""
    text = text.replace("&", "&amp;") if re.search(r"&#?\w+;", text) else text
    text = text.replace("\\", "&#92;").replace("<", "&lt;")
    text = re.sub(r"([`*$])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)|~(?=~)", lambda match: "\\" + match[0], text)
    # Square brackets are left alone unless they would make a link, a footnote or a task.
    return re.sub(r"\[(?=\^|[ xX]\])", "&#91;", re.sub(r"\](?=[(\[:])", "&#93;", text))


def code_span(code: str) -> str:
    """``code`` between as many backticks as it takes."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", code)), default=0))
    pad = " " if code.startswith("`") or code.endswith("`") else ""
    return f"{fence}{pad}{code}{pad}{fence}"


def fenced(code: str, language: str = "") -> str:
    """``code`` as a fenced block."""
    code = code.rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{code}\n{fence}"


def details(summary: str, body: str) -> str:
    """A block that opens on a click; ``summary`` is HTML, ``body`` Markdown."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def bold(text: str) -> str:
    """``text`` in bold, whatever of it was bold before."""
    return f"**{text.replace('**', '')}**"


def quoted(text: str) -> str:
    """``text`` as a block quote."""
    return "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))


class Writer:
    """Writes the nodes of one page as Markdown.

    Parameters
    ----------
    builder : the HTML builder; its environment knows the numbers.
    document : the page's doctree, resolved for that builder.
    docname : the page's name.
    book : address of the published book with a slash at its end; "" where it is not known.
    macros : LaTeX macros, name to body or (body, number of arguments), as in MathJax's configuration.
    """

    def __init__(
        self,
        builder: Builder,
        document: nodes.document,
        docname: str,
        *,
        book: str,
        macros: dict[str, Any],
    ) -> None:
        self.builder, self.docname, self.book, self.macros = builder, docname, book, macros
        self.nested = 0  # within a quote or a list, where a formula has to stay on one line
        self.in_table = False
        here = {name for node in document.findall(nodes.Element) for name in node["ids"]}
        self.wanted = {name for node in document.findall(nodes.reference) if (name := self.anchor(node)) in here}
        self.wanted |= {self.anchor(link) for link in document.findall(addnodes.number_reference)} & here
        self.written: set[str] = set()

    # Numbers and addresses

    def number(self, kind: str, node: nodes.Element) -> str:
        """The number the page shows for ``node``, such as 4.1; "" for none."""
        numbers = self.builder.env.toc_fignumbers.get(self.docname, {}).get(kind, {})
        found = [numbers[name] for name in node["ids"] if name in numbers]
        return ".".join(map(str, found[0])) if found else ""

    def section_number(self, section: nodes.Element) -> str:
        """The number in front of a heading, with its suffix; "" for none."""
        numbers = self.builder.env.toc_secnumbers.get(self.docname, {})
        names = [""] if isinstance(section.parent, nodes.document) else [f"#{name}" for name in section["ids"]]
        found = [number for name in names if (number := numbers.get(name))]
        suffix = self.builder.config.html_secnumber_suffix
        return ".".join(map(str, found[0])) + suffix if found else ""

    @staticmethod
    def anchor(node: nodes.Element) -> str:
        """The anchor on this page that a link names; "" if it leads elsewhere."""
        uri = node.get("refuri", "")
        return node.get("refid") or (uri[1:] if uri.startswith("#") else "")

    def address(self, node: nodes.Element) -> str:
        """What a link should lead to: an anchor of this notebook, or an absolute address; "" where there is neither."""
        if anchor := self.anchor(node):
            return f"#{anchor}" if anchor in self.wanted else ""
        uri: str = node.get("refuri", "")
        if re.match(r"(https?|mailto):", uri):
            return uri
        if not uri:
            return ""
        page = self.builder.get_target_uri(self.docname)
        return addresses.page(self.book, posixpath.normpath(posixpath.join(posixpath.dirname(page), uri)))

    def anchors(self, node: nodes.Element) -> str:
        """The anchors that links of this notebook expect at ``node``."""
        fresh = [name for name in node.get("ids", []) if name in self.wanted and name not in self.written]
        self.written.update(fresh)
        return "".join(f'<a id="{name}"></a>' for name in fresh)

    def unknown(self, node: nodes.Node) -> None:
        logger.warning(
            "the exported notebook has no rule for the node %s; add one to plain_markdown.py",
            node.tagname,
            location=node if isinstance(node, nodes.Element) else self.docname,
            type="notebooks",
        )

    # Within a paragraph

    def text(self, node: nodes.Element) -> str:
        """The children of ``node`` as one line of Markdown."""
        joined = "".join(self.span(child) for child in node.children)
        return re.sub(r"\s*\n\s*", " ", joined).strip()

    def span(self, node: nodes.Node) -> str:
        """One inline node as Markdown."""
        if isinstance(node, nodes.Text):
            text = escape(node.astext())
            return text.replace("|", "\\|") if self.in_table else text
        assert isinstance(node, nodes.Element)
        name, before = node.tagname, self.anchors(node)
        if name in ("reference", "number_reference"):
            return before + self.link(node)
        if name == "math":
            return before + inline(node.astext(), self.macros, table=self.in_table)
        if name == "literal":
            code = code_span(node.astext().replace("\n", " "))
            return before + (code.replace("|", "\\|") if self.in_table else code)
        if name in SILENT:
            return ""
        text = "".join(map(self.span, node.children))
        if name in WRAPPING:
            lead, core, trail = re.fullmatch(r"(\s*)(.*?)(\s*)", text, re.S).groups()  # type: ignore[union-attr]
            return before + (lead + WRAPPING[name].format(core) + trail if core else text)
        if name not in ("inline", "quoted_number", "target"):
            self.unknown(node)
        return before + text

    def link(self, node: nodes.Element) -> str:
        text, address = self.text(node), self.address(node)
        lead = " " if node.astext()[:1] == " " else ""
        return f"{lead}[{text}]({address})" if address and text else lead + text

    # Blocks

    def blocks(self, children: Iterable[nodes.Node]) -> str:
        """``children`` as paragraphs of Markdown."""
        return "\n\n".join(filter(None, map(self.block, children)))

    def within(self, children: Iterable[nodes.Node]) -> str:
        """As ``blocks``, for the inside of a quote or a list."""
        self.nested += 1
        try:
            return self.blocks(children)
        finally:
            self.nested -= 1

    def block(self, node: nodes.Node) -> str:
        """One block with all that is in it; "" if it shows nothing."""
        if isinstance(node, nodes.Text | nodes.Inline):
            return self.span(node).strip()
        assert isinstance(node, nodes.Element)
        name = node.tagname
        if name in SILENT:
            return ""
        before = self.anchors(node)
        rule = getattr(self, f"block_{name}", None)
        if "realtype" in node:
            body = self.statement(node)
        elif rule is not None:
            body = rule(node)
        elif isinstance(node, nodes.Admonition):
            body = self.admonition(node)
        else:
            if name not in TRANSPARENT:
                self.unknown(node)
            body = self.blocks(node.children)
        return f"{before}\n\n{body}" if before and body else before + body

    def block_paragraph(self, node: nodes.Element) -> str:
        text = self.text(node)
        # What would start a heading, a list or a quote were it the first thing on a line.
        text = re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", text)
        return re.sub(r"^(#+(?=\s)|[+>](?=\s)|-(?=\s)|={3,}|-{3,})", r"\\\1", text)

    def block_title(self, node: nodes.Element) -> str:
        depth, section = 0, node.parent
        while isinstance(section, nodes.section):
            depth, section = depth + 1, section.parent
        return f"{'#' * min(depth, 6)} {escape(self.section_number(node.parent))}{self.text(node)}"

    def block_math_block(self, node: nodes.Element) -> str:
        if node.get("nowrap"):  # an environment of amsmath that makes its own display
            self.unknown(node)
        number = self.number("displaymath", node) or (str(node["number"]) if node.get("label") else "")
        return display(node.astext(), self.macros, number, one_line=self.nested > 0)

    def block_literal_block(self, node: nodes.Element) -> str:
        language = node.get("language", "")
        return fenced(node.astext(), LANGUAGES.get(language, language))

    def block_block_quote(self, node: nodes.Element) -> str:
        return quoted(self.within(node.children))

    def items(self, node: nodes.Element, marks: Sequence[str]) -> str:
        written, apart = [], False
        for mark, item in zip(marks, node.children, strict=True):
            assert isinstance(item, nodes.Element)
            body = self.anchors(item) + self.within(item.children)
            apart = apart or "\n\n" in body
            written.append(mark + body.replace("\n", "\n" + " " * len(mark)))
        gap = "\n\n" if apart else "\n"
        return re.sub(r"[ \t]+$", "", gap.join(written), flags=re.M)

    def block_bullet_list(self, node: nodes.Element) -> str:
        return self.items(node, ["- "] * len(node.children))

    def block_enumerated_list(self, node: nodes.Element) -> str:
        start = node.get("start", 1)
        return self.items(node, [f"{start + place}. " for place in range(len(node.children))])

    def caption(self, node: nodes.Element) -> str:
        """The numbered caption of a figure, a table or a listing, as a paragraph of its own."""
        kind = self.builder.env.get_domain("std").get_enumerable_node_type(node) or ""
        number = self.number(kind, node)
        label = self.builder.config.numfig_format.get(kind, "%s") % number + "." if number else ""
        found = [child for child in node.children if isinstance(child, nodes.caption | nodes.title)]
        text = " ".join(filter(None, [f"**{label}**" if label else "", *map(self.text, found)]))
        return f"\n\n{text}" if text else ""

    # Boxes

    def admonition(self, node: nodes.Element) -> str:
        children = list(node.children)
        title = children.pop(0) if isinstance(children[0], nodes.title) else None
        heading = self.text(title) if title is not None else str(admonitionlabels.get(node.tagname, ""))
        if "exercise" in node["classes"]:
            name = f"Exercise {self.number('exercise', node)}".strip()
            return f"**{name}** {heading}".strip() + "\n\n" + self.blocks(children)
        if "dropdown" in node["classes"]:
            return details(html.escape(node[0].astext(), quote=False), self.blocks(children))
        if not heading:
            return quoted(re.sub(r"^Proof\.", "*Proof.*", self.within(children)))
        return quoted(f"{bold(heading)}\n\n{self.within(children)}")

    def statement(self, node: nodes.Element) -> str:
        """A theorem, a lemma, an algorithm and their like, under the number of the page."""
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        number = self.number(node.get("countertype", ""), node)
        name = f"{node['realtype'].title()} {number}".strip()
        rest = [child for child in node.children if child is not title]
        note = self.text(title) if title is not None else ""
        return quoted(f"**{name}** {note}".strip() + "\n\n" + self.within(rest))

    def block_self_check(self, node: nodes.Element) -> str:
        """A question whose answer is typed on the page; here hint and answer open on a click."""
        written = ["**Check yourself**"]
        for part in node.children:
            assert isinstance(part, nodes.Element)
            body = self.blocks(part.children)
            written.append(body if part["part"] == "question" else details(part["part"].title(), body))
        return "\n\n".join(written)

    # Tables

    def block_table(self, node: nodes.Element) -> str:
        rows: dict[str, list[list[str]]] = {"thead": [], "tbody": []}
        self.in_table = True
        for row in node.findall(nodes.row):
            rows[row.parent.tagname].append([self.cell(entry) for entry in row.findall(nodes.entry)])
        self.in_table = False
        top = ["<br>".join(filter(None, column)) for column in zip(*rows["thead"], strict=True)]
        top = top or [""] * len(rows["tbody"][0])
        lines = [top, ["---"] * len(top), *rows["tbody"]]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + self.caption(node)

    def cell(self, entry: nodes.Element) -> str:
        """A table cell; Markdown allows it one line only."""
        parts = [
            self.anchors(child) + self.text(child) if isinstance(child, nodes.paragraph) else self.block(child)
            for child in entry.children
            if isinstance(child, nodes.Element)
        ]
        return "<br>".join(filter(None, parts)).replace("\n", " ")
