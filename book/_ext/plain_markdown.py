"""A resolved page of the book as plain Markdown and LaTeX, which Colab, JupyterLab and GitHub render alike.

It starts from the doctree that Sphinx has resolved, so numbers, citations and titles are those of the page. What it
must not leave in the text: directives, roles, labels, and macros that only the book's own MathJax knows. A node it has
no rule for is reported, which fails a strict build, and its content is written all the same.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import notebook_addresses as addresses
from docutils import nodes
from markdown_latex import display, inline
from sphinx.locale import admonitionlabels
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.builders import Builder

logger = logging.getLogger(__name__)

LANGUAGES = {"ipython3": "python", "ipython": "python", "python3": "python", "default": "", "none": "", "myst-ansi": ""}
# They hold nothing a reader sees, or (outputs) what running the notebook brings back.
SILENT = {
    "comment", "index", "meta", "substitution_definition", "system_message", "tabular_col_spec", "target", "toctree",
    "highlightlang", "colspec", "sd_tab_input", "viewcode_anchor",
}  # fmt: skip
# Only their children are written.
TRANSPARENT = {
    "compound", "container", "HideCodeCellNode", "PassthroughTextElement", "sidebar", "topic", "legend", "line_block",
    "proof_node", "compact_paragraph", "document", "start_of_file",
}  # fmt: skip
WRAPPING = {
    "emphasis": "*{}*",
    "title_reference": "*{}*",
    "literal_emphasis": "*{}*",
    "strong": "**{}**",
    "literal_strong": "**{}**",
    "superscript": "<sup>{}</sup>",
    "subscript": "<sub>{}</sub>",
}
PLAIN_INLINE = {"inline", "generated", "abbreviation", "acronym", "term", "caption", "title", "number_reference"}
PLAIN_INLINE |= {"citation", "label", "attribution", "sd_badge", "PassthroughTextElement", "quoted_number"}


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
    picture : gives the address to write for an image's path.
    macros : LaTeX macros, name to body or (body, number of arguments), as in MathJax's configuration.
    """

    def __init__(
        self,
        builder: Builder,
        document: nodes.document,
        docname: str,
        *,
        book: str,
        picture: Callable[[str], str],
        macros: dict[str, Any],
    ) -> None:
        self.builder, self.docname, self.book, self.picture, self.macros = builder, docname, book, picture, macros
        self.nested = 0  # within a quote or a list, where a formula has to stay on one line
        self.in_table = False
        here = {name for node in document.findall(nodes.Element) for name in node["ids"]}
        self.wanted = {name for node in document.findall(nodes.reference) if (name := self.anchor(node)) in here}
        for link in document.findall(lambda node: node.tagname in ("number_reference", "footnote_reference")):
            self.wanted |= {self.anchor(link)} & here
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
        if not uri or re.match(r"\w+:", uri):
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
        name = node.tagname
        before = "" if isinstance(node, nodes.target) else self.anchors(node)
        if name in ("reference", "number_reference", "footnote_reference", "citation_reference", "download_reference"):
            return before + self.link(node)
        if name in WRAPPING:
            text = "".join(map(self.span, node.children))
            lead, core, trail = re.fullmatch(r"(\s*)(.*?)(\s*)", text, re.S).groups()  # type: ignore[union-attr]
            return before + (lead + WRAPPING[name].format(core) + trail if core else text)
        if name == "math":
            return before + inline(node.astext(), self.macros, table=self.in_table)
        if name == "literal":
            code = code_span(node.astext().replace("\n", " "))
            return before + (code.replace("|", "\\|") if self.in_table else code)
        if name == "image":
            return before + self.image(node)
        if name == "raw":
            return before + (node.astext().replace("\n", " ") if "html" in node.get("format", "").split() else "")
        if name in ("target", "PassthroughTextElement", *PLAIN_INLINE):
            return before + (self.anchors(node) if name == "target" else "") + "".join(map(self.span, node.children))
        if name in SILENT:
            return ""
        self.unknown(node)
        return before + "".join(map(self.span, node.children))

    def link(self, node: nodes.Element) -> str:
        text, address = self.text(node), self.address(node)
        if node.tagname in ("footnote_reference", "citation_reference"):
            text = f"[{text}]"
        lead = " " if node.astext()[:1] == " " else ""
        return f"{lead}[{text}]({address})" if address and text else lead + text

    def image(self, node: nodes.Element) -> str:
        source, alt = self.picture(node["uri"]), " ".join(node.get("alt", "").split())
        if width := node.get("width"):
            return f'<img src="{source}" alt="{html.escape(alt)}" width="{html.escape(width)}">'
        return f"![{escape(alt)}]({source})"

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
        if name in SILENT or (name == "container" and node.get("nb_element") == "cell_code_output"):
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

    block_line = block_paragraph

    def block_rubric(self, node: nodes.Element) -> str:
        return bold(self.text(node))

    block_sd_tab_label = block_rubric
    block_caption = block_paragraph

    def block_section(self, node: nodes.Element) -> str:
        # sphinx_proof and sphinx_exercise wrap what they hold in a section without a title.
        return self.blocks(node.children)

    def block_title(self, node: nodes.Element) -> str:
        section = node.parent
        if not isinstance(section, nodes.section):
            return bold(self.text(node))
        depth = 0
        while isinstance(section, nodes.section):
            depth, section = depth + 1, section.parent
        return f"{'#' * min(depth, 6)} {escape(self.section_number(node.parent))}{self.text(node)}"

    def block_math_block(self, node: nodes.Element) -> str:
        number = self.number("displaymath", node) or (str(node["number"]) if node.get("label") else "")
        return display(node.astext(), self.macros, number, alone=bool(node.get("nowrap")), one_line=self.nested > 0)

    def block_literal_block(self, node: nodes.Element) -> str:
        language = node.get("language", "")
        return fenced(node.astext(), LANGUAGES.get(language, language))

    def block_doctest_block(self, node: nodes.Element) -> str:
        return fenced(node.astext(), "python")

    def block_raw(self, node: nodes.Element) -> str:
        return node.astext().strip() if "html" in node.get("format", "").split() else ""

    def block_transition(self, node: nodes.Element) -> str:
        return "---"

    def block_image(self, node: nodes.Element) -> str:
        return self.image(node)

    def block_reference(self, node: nodes.Element) -> str:
        return self.link(node)

    def block_block_quote(self, node: nodes.Element) -> str:
        return quoted(self.within(node.children))

    def block_attribution(self, node: nodes.Element) -> str:
        return f"— {self.text(node)}"

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

    block_options_list = block_bullet_list

    def block_enumerated_list(self, node: nodes.Element) -> str:
        start = node.get("start", 1)
        return self.items(node, [f"{start + place}. " for place in range(len(node.children))])

    block_steps_list = block_enumerated_list

    def block_definition_list(self, node: nodes.Element) -> str:
        written = []
        for item in node.children:
            assert isinstance(item, nodes.Element)
            terms = [self.anchors(part) + self.text(part) for part in item.children if isinstance(part, nodes.term)]
            rest = [part for part in item.children if isinstance(part, nodes.definition)]
            body = self.within(child for part in rest for child in part.children)
            text = f"{bold(', '.join(terms))}\n\n{body}"
            written.append("- " + text.replace("\n", "\n  "))
        return re.sub(r"[ \t]+$", "", "\n\n".join(written), flags=re.M)

    block_glossary = block_section

    def block_field_list(self, node: nodes.Element) -> str:
        parts = [[part for part in field.children if isinstance(part, nodes.Element)] for field in node.children]
        lines = [f"- **{self.text(name)}**: {self.within(body.children)}" for name, body in parts]
        return "\n".join(line.replace("\n", "\n  ") for line in lines)

    def block_footnote(self, node: nodes.Element) -> str:
        label = node.next_node(nodes.label)
        # sphinxcontrib-bibtex shares a reference's nodes among the times a page is resolved, and labels it each time.
        rest = [child for child in node.children if not isinstance(child, nodes.label)]
        return f"[{label.astext() if label else ''}] " + self.within(rest)

    block_citation = block_footnote

    def block_figure(self, node: nodes.Element) -> str:
        return self.blocks(child for child in node.children if not isinstance(child, nodes.caption)) + self.caption(
            node
        )

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
        named = admonitionlabels.get(node.tagname, "")
        title = children.pop(0) if children and isinstance(children[0], nodes.title) else None
        if "exercise" in node.get("classes", []):
            return self.exercise(node, title, children)
        if title is None and not named:
            return self.proof(children)
        if "dropdown" in node["classes"]:
            summary = self.summary(title) if title is not None else html.escape(str(named))
            return details(summary, self.blocks(children))
        heading = self.text(title) if title is not None else str(named)
        self.nested += 1
        body = self.blocks(children)
        self.nested -= 1
        return quoted(f"{bold(heading)}\n\n{body}")

    def summary(self, title: nodes.Node) -> str:
        """A title as the HTML of one line, its formulas left to MathJax."""
        parts = []
        for node in title.findall(lambda node: isinstance(node, nodes.Text | nodes.math)):
            if isinstance(node, nodes.math):
                parts.append(inline(node.astext(), self.macros))
            elif not isinstance(node.parent, nodes.math | nodes.raw):
                parts.append(html.escape(node.astext(), quote=False))
        return " ".join("".join(parts).split())

    def proof(self, children: list[nodes.Node]) -> str:
        text = re.sub(r"^Proof\.", "*Proof.*", self.within(children))
        return quoted(text)

    def statement(self, node: nodes.Element) -> str:
        """A theorem, a lemma, an algorithm and their like, under the number of the page."""
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        number = self.number(node.get("countertype", ""), node)
        name = f"{node['realtype'].title()} {number}".strip()
        rest = [child for child in node.children if child is not title]
        note = self.text(title) if title is not None else ""
        return quoted(f"**{name}** {note}".strip() + "\n\n" + self.within(rest))

    def exercise(self, node: nodes.Element, title: nodes.Node | None, children: list[nodes.Node]) -> str:
        number = self.number("exercise", node)
        note = self.text(title) if isinstance(title, nodes.Element) else ""
        return f"**{f'Exercise {number}'.strip()}** {note}".strip() + "\n\n" + self.blocks(children)

    # Tables and tabs

    def block_table(self, node: nodes.Element) -> str:
        group = node.next_node(nodes.tgroup)
        if group is None:
            return ""
        width = int(group["cols"])
        head = [self.row(row, width) for part in group.findall(nodes.thead) for row in part.findall(nodes.row)]
        body = [self.row(row, width) for part in group.findall(nodes.tbody) for row in part.findall(nodes.row)]
        top = ["<br>".join(filter(None, column)) for column in zip(*head, strict=True)] if head else [""] * width
        lines = [top, ["---"] * width, *body]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines) + self.caption(node)

    def row(self, row: nodes.Element, width: int) -> list[str]:
        """The cells of a row; one that spans several columns is followed by empty ones."""
        outer, self.in_table = self.in_table, True
        cells: list[str] = []
        for entry in row.findall(nodes.entry):
            cells += [self.cell(entry), *[""] * entry.get("morecols", 0)]
        self.in_table = outer
        return (cells + [""] * width)[:width]

    def cell(self, entry: nodes.Element) -> str:
        """A table cell; Markdown allows it one line only."""
        parts = []
        for child in entry.children:
            if isinstance(child, nodes.bullet_list | nodes.enumerated_list):
                parts += [f"• {self.cell(item)}" for item in child.findall(nodes.list_item)]
            elif isinstance(child, nodes.math_block):
                parts.append(inline(child.astext(), self.macros, table=True, large=True))
            elif isinstance(child, nodes.literal_block):
                parts += [code_span(line).replace("|", "\\|") for line in child.astext().splitlines()]
            elif isinstance(child, nodes.paragraph):
                parts.append(self.anchors(child) + self.text(child))
            else:
                parts.append(self.block(child).replace("\n", " "))
        return "<br>".join(filter(None, parts))

    def block_dropdown_main(self, node: nodes.Element) -> str:
        title = node.children[0] if node.children else None
        rest = [child for child in node.children if child is not title]
        return details(self.summary(title) if title is not None else "More", self.blocks(rest))
