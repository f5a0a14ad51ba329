"""The directive that draws the paper's claims, from a list in YAML, as the paper's own outline with their verdicts.

The fields of a claim are explained at the head of ``book/claims.yml``. A list that is wrong stops the build and names
the claim. The page is whole without JavaScript; ``book/static/claims.js``, on this page only, lets a reader choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from complaints import look
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

VERDICTS = {
    "holds": "proved, or measured here",
    "holds if": "under the condition that is named",
    "not reproduced": "tried here, and something else was found",
    "not run": "not tried here",
    "opinion": "there is nothing that a measurement could refute; the reason is named",
}
OUTLINE = {
    "Abstract": "Abstract",
    "Section 1": "1 Introduction",
    "Section 2": "2 Related work",
    "Section 3": "3 Adversarial nets",
    "Section 4": "4 Theoretical results",
    "Section 4.1": "4.1 Global optimality of p_g = p_data",
    "Section 4.2": "4.2 Convergence of Algorithm 1",
    "Section 5": "5 Experiments",
    "Section 6": "6 Advantages and disadvantages",
    "Section 7": "7 Conclusions and future work",
}
TEXTS = ("id", "where", "kind", "false_if", "verdict", "why", "section")
OPTIONAL = ("quote", "claim", "condition", "negated")
LISTS = ("tests", "results")


class listed_claim(nodes.container):  # type: ignore[misc]
    """A claim on a page; it keeps its name and its label."""


def part(where: str) -> str:
    """The part of the paper that a place lies in: "Section 3" of "Section 3, paragraph 2".

    Examples
    --------
    >>> part("Section 4.1, equation 2")
    'Section 4.1'
    """
    return where.partition(",")[0]


def read(path: Path) -> list[dict[str, Any]]:
    """The claims of a file, in its order.

    Raises
    ------
    ExtensionError
        If one lacks a field, has an unknown one, or says something that has no meaning here; the message names it.
    """
    claims: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for number, claim in enumerate(claims, 1):
        name = f"{path.name}: claim {claim.get('id', f'number {number}')}"
        for problem in problems(claim):
            raise ExtensionError(f"{name}: {problem}")
    for identifier, count in Counter(claim["id"] for claim in claims).items():
        if count > 1:
            raise ExtensionError(f"{path.name}: claim {identifier}: its id stands {count} times")
    return claims


def problems(claim: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a claim by itself, in words."""
    for field in TEXTS:
        if not isinstance(claim.get(field), str) or not claim[field].strip():
            yield f"{field} is missing"
    for field in LISTS:
        if not isinstance(claim.get(field, []), list):
            yield f"{field} is {claim[field]!r}; write a list"
    if unknown := sorted(set(claim) - {*TEXTS, *OPTIONAL, *LISTS}):
        yield f"no field is called {', '.join(unknown)}"
    if claim["verdict"] not in VERDICTS:
        yield f"no verdict is called {claim['verdict']!r}; there are {', '.join(VERDICTS)}"
    if part(claim["where"]) not in OUTLINE:
        yield f"where is {claim['where']!r}; begin with one of {', '.join(OUTLINE)}"
    if not claim.get("quote") and not claim.get("claim"):
        yield "neither quote nor claim says what is claimed"
    if (claim["verdict"] == "holds if") != bool(claim.get("condition")):
        yield "a condition belongs to the verdict 'holds if', and to no other"


class Claims(SphinxDirective):
    """``{claims} FILE``: the counts of the verdicts, then every claim, part of the paper by part."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        _, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(path)
        claims = read(Path(path))
        found: list[nodes.Node] = [self.counts(claims)]
        for name, title in OUTLINE.items():
            here = [claim for claim in claims if part(claim["where"]) == name]
            if here:
                section = nodes.section("", ids=[f"claims-{nodes.make_id(name)}"], classes=["claims-of"])
                heading = title.replace("p_g = p_data", "$p_g = p_{\\mathrm{data}}$")
                section += nodes.title(title, "", *self.inline(heading))
                section += [self.drawn(claim) for claim in here]
                self.state.document.note_implicit_target(section, section)
                found.append(section)
        return found

    def counts(self, claims: list[dict[str, Any]]) -> nodes.Node:
        """How often each verdict was given, and what it means."""
        items = nodes.bullet_list(classes=["claim-counts"])
        for verdict, meaning in VERDICTS.items():
            count = sum(claim["verdict"] == verdict for claim in claims)
            label = nodes.inline(verdict, verdict.capitalize(), classes=["claim-verdict"])
            words = nodes.paragraph("", "", label, nodes.Text(f" {count}: {meaning}"))
            items += nodes.list_item("", words, classes=[slug(verdict)])
        return items

    def drawn(self, claim: dict[str, Any]) -> nodes.Node:
        """One claim: its verdict, what is claimed and why it is judged so; folded, what would refute it, and tests."""
        box = listed_claim(ids=[f"claim-{claim['id']}"], classes=["claim", slug(claim["verdict"])], claim=claim["id"])
        box["label"] = claim["section"]
        self.set_source_info(box)
        verdict = nodes.inline("", claim["verdict"].capitalize(), classes=["claim-verdict"])
        place = f" {claim['kind']}; {claim['where'][0].lower()}{claim['where'][1:]}"
        where = nodes.inline(place, place, classes=["claim-where"])
        box += nodes.paragraph("", "", verdict, where, classes=["claim-head"])
        said = [f"“{claim['quote']}”"] if claim.get("quote") else []
        said += [claim["claim"]] if claim.get("claim") else []
        box += nodes.paragraph("", "", *self.inline(" ".join(said)), classes=["claim-said"])
        why = f"**If** {claim['condition']}. {claim['why']}" if claim.get("condition") else claim["why"]
        link = addnodes.pending_xref(
            "",
            nodes.inline("", claim["section"]),
            refdomain="std",
            reftype="ref",
            reftarget=claim["section"],
            refdoc=self.env.docname,
            refexplicit=False,
        )
        box += nodes.paragraph("", "", *self.inline(why), nodes.Text(" See "), link, nodes.Text("."))
        rows = [("False if", [self.inline(claim["false_if"])])]
        rows += [
            (title, [[nodes.literal(each, each)] for each in claim[field]])
            for title, field in (("Tests", "tests"), ("Results", "results"))
            if claim.get(field)
        ]
        if claim.get("negated"):
            rows.append(("Negated", [self.inline(claim["negated"])]))
        more = nodes.definition_list()
        for title, entries in rows:
            body = nodes.definition("", *(nodes.paragraph("", "", *entry) for entry in entries))
            more += nodes.definition_list_item("", nodes.term("", title), body)
        summary = ", ".join(title.lower() for title, _ in rows)
        box += nodes.raw("", f"<details><summary>{summary.capitalize()}</summary>", format="html")
        box += [more, nodes.raw("", "</details>", format="html")]
        return box

    def inline(self, text: str) -> list[nodes.Node]:
        found, messages = self.state.inline_text(text, self.lineno)
        return [*found, *messages]


def slug(verdict: str) -> str:
    return f"claim-{verdict.replace(' ', '-')}"


def unlinked(app: Sphinx, document: nodes.document) -> Iterator[tuple[nodes.Node, str]]:
    """The claims of a page whose section the book does not have."""
    for node in document.findall(listed_claim):
        if node["label"] not in app.env.domains["std"].labels:
            yield node, f"claim {node['claim']}: no section of the book has the label {node['label']!r}"


def scripts(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if doctree is not None and next(doctree.findall(listed_claim), None) is not None:
        app.add_js_file("claims.js", loading_method="defer")
        app.add_css_file("claims.css")


def visit(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "div"))


def depart(self: Any, node: nodes.Element) -> None:
    self.body.append("</div>\n")


def setup(app: Sphinx) -> dict[str, Any]:
    look(app, "claims", lambda document: unlinked(app, document))
    app.add_node(listed_claim, html=(visit, depart))
    app.add_directive("claims", Claims)
    app.connect("html-page-context", scripts)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
