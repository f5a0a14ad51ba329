"""Complaints about pages that fail the build, made anew in every build until the page is mended.

Sphinx warns of a page while it reads it, and a later build that finds the page unchanged says nothing. So pages are
looked at as they are kept, at the end of each build. Each warning ends in [ganlib.KIND]: book/build.py looks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

logger = logging.getLogger(__name__)


def look(app: Sphinx, kind: str, find: Callable[[nodes.document], Iterable[tuple[nodes.Node, str]]]) -> None:
    """Have ``find`` look at every page at the end of each build, for nodes and what is to be said of each."""

    def report(app: Sphinx, error: Exception | None) -> None:
        for docname in sorted(app.env.all_docs) if error is None else ():
            found = {(line_of(node), message) for node, message in find(app.env.get_doctree(docname))}
            for line, message in sorted(found):
                logger.warning("%s [ganlib.%s]", message, kind, location=(docname, line), type="ganlib", subtype=kind)

    app.connect("build-finished", report)


def line_of(node: nodes.Node | None) -> int:
    """The line of a node, or of what it stands in; 0 if none is known."""
    while node is not None and not node.line:
        node = node.parent
    return (node.line or 0) if node is not None else 0
