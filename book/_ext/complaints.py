"""Complaints about pages that fail the build: kept with the environment, and made anew in every build.

Sphinx warns of a page while it reads it, and a later build that finds the page unchanged says nothing. These warnings
come at the end of each build until the page is mended. Each ends in [ganlib.KIND], which book/build.py looks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)


def note(env: BuildEnvironment, kind: str, line: int, message: str) -> None:
    """Complain about ``line`` of the page that is being read (0: no line is known); once, however often noted."""
    known(env).setdefault(env.docname, {})[kind, line, message] = None


def line_of(node: nodes.Node | None) -> int:
    """The line of a node, or of what it stands in; 0 if none is known."""
    while node is not None and not node.line:
        node = node.parent
    return (node.line or 0) if node is not None else 0


def known(env: BuildEnvironment) -> dict[str, dict[tuple[str, int, str], None]]:
    if not hasattr(env, "ganlib_complaints"):
        env.ganlib_complaints = {}  # type: ignore[attr-defined]
    pages: dict[str, dict[tuple[str, int, str], None]] = env.ganlib_complaints  # type: ignore[attr-defined]
    return pages


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    known(env).pop(docname, None)


def merge(app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment) -> None:
    known(env).update({name: page for name, page in known(other).items() if name in docnames})


def report(app: Sphinx, error: Exception | None) -> None:
    if error is not None:
        return
    for docname, page in sorted(known(app.env).items()):
        for kind, line, message in sorted(page, key=lambda each: each[1]):
            where: Any = (docname, line or None)
            logger.warning("%s [ganlib.%s]", message, kind, location=where, type="ganlib", subtype=kind)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("build-finished", report)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
