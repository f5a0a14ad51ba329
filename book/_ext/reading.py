"""Reading times, computed from the pages: {reading-time}`fifteen-minutes` or {reading-time}`The walk`.

A page's name, or the caption of a part of _toc.yml, which stands for all pages of that part. Counted is what a reader
passes through: running text at 130 words a minute, and half a minute for each figure, displayed formula, widget and
piece of code that is open. Tables, solutions and what is folded are not counted.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from complaints import look
from docutils import nodes
from sphinx.util.docutils import SphinxRole

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

WORDS_A_MINUTE = 130  # as one reads mathematics
MINUTES_A_THING = 0.5
WORD = re.compile(r"[^\W_][\w'’-]*")
FOLDED = {"dropdown", "toggle", "solution", "solution-node", "sd-dropdown"}


class reading_time(nodes.Inline, nodes.TextElement):  # type: ignore[misc]
    """The time that its pages take, filled in once all pages are read."""


def passed_over(node: nodes.Node) -> bool:
    """Whether a reader who goes straight on does not read it."""
    if isinstance(node, nodes.table | nodes.comment | nodes.literal_block | nodes.math_block | nodes.footnote):
        return True
    names = {node.tagname, *node.get("classes", [])} if isinstance(node, nodes.Element) else set()
    return bool(FOLDED & names) or (isinstance(node, nodes.container) and node.get("nb_element") == "cell_code")


def measure(document: nodes.document) -> tuple[int, int]:
    """The words of a page's running text, and its figures, displayed formulas and open pieces of code."""
    words = things = 0

    def walk(node: nodes.Node) -> None:
        nonlocal words, things
        if isinstance(node, nodes.Text):
            words += len(WORD.findall(node.astext()))
        elif isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
            open_code = not {"hide-input", "remove-input"} & set(node.get("cell_metadata", {}).get("tags", []))
            widget = any("widget-view" in str(part.get("mime_type", "")) for part in node.findall(nodes.Element))
            things += open_code + (widget or next(node.findall(nodes.image), None) is not None)
            for caption in node.findall(nodes.caption):
                walk(caption)
        elif isinstance(node, nodes.math_block | nodes.literal_block):
            things += 1
        elif isinstance(node, nodes.math):
            words += 1
        elif not passed_over(node):
            things += isinstance(node, nodes.image)
            for child in node.children:
                walk(child)

    walk(document)
    return words, things


def in_words(minutes: float) -> str:
    """A time as one says it: minutes by ones below 20 and by fives below 90, then hours by halves."""
    if minutes < 20:
        return f"{max(1, round(minutes))} minutes" if round(minutes) > 1 else "1 minute"
    if minutes < 90:
        return f"{5 * round(minutes / 5)} minutes"
    halves = round(minutes / 30)
    return f"{halves // 2}{'½' if halves % 2 else ''} hours"


def pages_of(env: BuildEnvironment, name: str, here: str) -> list[str]:
    """The pages that ``name`` stands for on the page ``here``; none if there is no such page or part.

    ``name`` is a page's, relative to ``here``, or the caption of a part.
    """
    site = getattr(env.app.config, "external_site_map", None) or getattr(env, "external_site_map", None)
    for part in site.root.subtrees if site is not None else ():
        if part.caption == name:
            return [str(item) for item in part.items]
    page = posixpath.normpath(posixpath.join(posixpath.dirname(here), name))
    return [page] if page in env.all_docs else []


class ReadingTime(SphinxRole):
    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        node = reading_time(self.rawtext, asked=self.text.strip())
        self.set_source_info(node)
        return [node], []


def count(app: Sphinx, document: nodes.document) -> None:
    times(app.env)[app.env.docname] = measure(document)


def times(env: BuildEnvironment) -> dict[str, tuple[int, int]]:
    if not hasattr(env, "ganlib_reading"):
        env.ganlib_reading = {}  # type: ignore[attr-defined]
    return env.ganlib_reading  # type: ignore[attr-defined, no-any-return]


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    times(env).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: Iterable[str], other: BuildEnvironment) -> None:
    times(env).update({name: found for name, found in times(other).items() if name in docnames})


def with_times(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages that show a time: they change when any page does."""
    return [name for name in env.all_docs if next(env.get_doctree(name).findall(reading_time), None) is not None]


def fill_in(app: Sphinx, document: nodes.document, docname: str) -> None:
    for node in list(document.findall(reading_time)):
        found = [times(app.env)[page] for page in pages_of(app.env, node["asked"], docname)]
        minutes = sum(words / WORDS_A_MINUTE + things * MINUTES_A_THING for words, things in found)
        node.replace_self(nodes.Text(in_words(minutes)))


def unknown(app: Sphinx, document: nodes.document) -> Iterable[tuple[nodes.Node, str]]:
    for node in document.findall(reading_time):
        here = app.env.path2doc(document["source"]) if document.get("source") else None
        if not pages_of(app.env, node["asked"], here or ""):
            yield node, f"{{reading-time}}`{node['asked']}`: no page and no part of the table of contents has this name"


def setup(app: Sphinx) -> dict[str, Any]:
    look(app, "results", lambda document: unknown(app, document))
    app.add_node(reading_time)
    app.add_role("reading-time", ReadingTime())
    app.connect("doctree-read", count)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", with_times)
    app.connect("doctree-resolved", fill_in)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
