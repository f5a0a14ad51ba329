"""Export each chapter with code as a notebook of plain Markdown and LaTeX; put the buttons that open it on its page.

While Sphinx writes the HTML of a chapter, ``_notebooks/NAME.ipynb`` is written from the same resolved doctree: the same
numbers, all code cells in their order, no outputs (running brings them back), and three cells in front of them: what
this is, an install cell that leaves torch and numpy alone, and what was found to run on. The same sources always give
the same bytes. Addresses, and how Colab finds the notebook, are in notebook_addresses.py.
"""

from __future__ import annotations

import html
import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import notebook_addresses as addresses
from docutils import nodes
from plain_markdown import Writer, details, escape, quoted
from sphinx.util import logging
from wheels import Wheel, build_wheel

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

logger = logging.getLogger(__name__)

# What ganlib's chapters import and Colab may lack; each is imported under the name it is installed by. torch,
# torchvision and numpy are not among them, and --no-deps keeps pip from looking at what these depend on.
SMALL = (
    "anywidget",
    "lightning_utilities",
    "mlxtend",
    "mpmath",
    "psygnal",
    "safetensors",
    "scipy",
    "sympy",
    "torchmetrics",
    "tqdm",
)
# How ganlib itself comes: as a wheel from where the book is published, or from what lies beside the notebook.
START = """\
# Brings what is missing, as in Colab. With --no-deps pip adds what is named and touches nothing else: the torch,
# torchvision and numpy that are here stay as they are.
import importlib
import os
from glob import glob
from importlib.util import find_spec

wanted = [name for name in {small} if find_spec(name) is None]
"""
PUBLISHED = """\
if find_spec("ganlib") is None:
    wanted.insert(0, "{wheel}")
# Where the results that the book shows are fetched from, each when it is first shown.
os.environ.setdefault("GANLIB_RESULTS", "{results}")
"""
BESIDE = """\
if find_spec("ganlib") is None:  # this copy of the book does not know where it is published
    clones = [os.path.dirname(os.path.dirname(path)) for path in glob("./*/ganlib/__init__.py")]
    beside = clones + glob("./{wheel}")
    if not beside:
        raise ModuleNotFoundError(
            "ganlib is missing. Put {clone} beside this notebook, "
            f"in {{os.getcwd()}}, and run this cell again: then all of it runs. Or upload "
            "{wheel} from the folder {folder} of the built book: "
            "then all runs that needs none of the book's own results."
        )
    wanted.insert(0, f'"{{beside[0]}}"')
"""
BRING = """\
if wanted:
    packages = " ".join(wanted)
    %pip install --quiet --no-deps {packages}
    importlib.invalidate_caches()
print("ganlib is", "here" if find_spec("ganlib") else "still missing: read what pip says above")
"""
CHECK = """\
# Says what was found, and what this chapter will therefore run.
from ganlib.notebook import gpu_check

gpu_check("{mode}")
"""
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
LINK = re.compile(r"\]\(#([^)\s]+)\)")


def is_cell(node: nodes.Node) -> bool:
    """Whether it is a cell of code, with what it shows."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def code_of(cell: nodes.Element) -> str:
    """The code of a cell; no tag that book/build.py allows leaves it out of the page."""
    return str(next(cell.findall(nodes.literal_block)).astext())


def mode_of(code: str) -> str:
    """Which of `ganlib.notebook.gpu_check`'s cases a chapter is: "budgets", "cpu" or "complete"."""
    if re.search(r"\bon_gpu\(", code):
        return "budgets"
    return "cpu" if re.search(r"\bsetup\(\s*[\"']cpu[\"']", code) else "complete"


class Export:
    """Makes one chapter's notebook."""

    def __init__(self, app: Sphinx, docname: str) -> None:
        self.app, self.docname = app, docname
        document = app.env.get_and_resolve_doctree(docname, app.builder)
        code = "\n".join(map(code_of, document.findall(is_cell)))
        self.mode = mode_of(code)
        macros = (getattr(app.config, "mathjax3_config", None) or {}).get("tex", {}).get("macros", {})
        self.writer = Writer(app.builder, document, docname, book=app.config.ganlib_book, macros=macros)
        self.document = document
        self.cells: list[dict[str, Any]] = []
        self.text: list[str] = []

    def markdown(self, text: str) -> None:
        if text.strip():
            self.text.append(text.strip("\n"))

    def close(self) -> None:
        """Make a cell of the Markdown gathered so far."""
        if self.text:
            self.cells.append({"cell_type": "markdown", "metadata": {}, "source": "\n\n".join(self.text)})
            self.text = []

    def add_code(self, source: str, metadata: dict[str, Any]) -> None:
        self.close()
        shared: dict[str, Any] = {"execution_count": None, "outputs": []}
        self.cells.append({"cell_type": "code", "metadata": metadata, "source": source, **shared})

    def code_cell(self, cell: nodes.Element) -> None:
        tags = list(cell["cell_metadata"].get("tags", []))
        metadata: dict[str, Any] = {"tags": tags} if tags else {}
        if "hide-input" in tags:
            metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        self.add_code(code_of(cell), metadata)
        self.figures(cell)

    def figures(self, node: nodes.Element) -> None:
        """What stands below the figures a cell draws: their captions, and in words what they show."""
        for image in node.findall(nodes.image):
            figure = image.parent if isinstance(image.parent, nodes.figure) else None
            if figure is not None:
                self.markdown(self.writer.anchors(figure))
                self.markdown(self.writer.caption(figure))
            if alt := image.get("alt", "").strip():
                self.markdown(details("The figure in words", html.escape(alt, quote=False)))

    def walk(self, children: Iterable[nodes.Node]) -> None:
        """Write the children of a document or a section, a new cell for each heading and each piece of code."""
        for child in children:
            assert isinstance(child, nodes.Element)
            if isinstance(child, nodes.section) and any(isinstance(part, nodes.title) for part in child.children):
                self.close()
                self.markdown(self.writer.anchors(child))
                self.walk(child.children)
                continue
            if isinstance(child, nodes.title) and isinstance(child.parent.parent, nodes.document):
                continue  # the first cell has it
            if is_cell(child):
                self.code_cell(child)
            else:
                self.markdown(self.writer.block(child))

    def front(self) -> None:
        """The cells before the chapter: what this is, the install cell, and what was found to run on."""
        config = self.app.config
        title = self.app.env.titles[self.docname]
        page = self.app.builder.get_target_uri(self.docname)
        where = f"[{config.ganlib_book}{page}]({addresses.page(config.ganlib_book, page)})"
        self.markdown(
            quoted(
                f"This notebook is a page of *{config.html_title or config.project}*, exported from the page {where}. "
                "It has the text, the numbers of equations and figures, and all code of the page. Its outputs appear "
                "when you run it, from the top. Values quoted in the text were computed when the page was built; yours "
                "may differ a little, and where a GPU runs a larger budget, by more."
            )
        )
        self.close()
        self.cells[0]["source"] = f"# {self.heading(title)}\n\n" + self.cells[0]["source"]
        self.add_code(install(config, self.app.ganlib_wheel).rstrip(), {"tags": ["ganlib-install"]})  # type: ignore[attr-defined]
        self.add_code(CHECK.format(mode=self.mode).rstrip(), {"tags": ["ganlib-gpu-check"]})

    def heading(self, title: nodes.title) -> str:
        number = self.app.env.toc_secnumbers.get(self.docname, {}).get("", ())
        prefix = ".".join(map(str, number)) + self.app.config.html_secnumber_suffix if number else ""
        return prefix + self.writer.text(title)

    def references(self) -> None:
        """List in full what the text cites in brackets."""
        links = [
            link
            for cited in self.document.findall(nodes.inline)
            if "bibtex-citation" in cited["classes"]
            for link in cited.findall(nodes.reference)
        ]
        if full := sorted({link["reftitle"] for link in links if link.get("reftitle")}):
            self.close()
            self.markdown("**References**\n\n" + "\n".join(f"- {escape(entry)}" for entry in full))

    def notebook(self) -> dict[str, Any]:
        """The notebook in format 4.5."""
        self.front()
        self.walk(self.document.children)
        self.references()
        self.close()
        for place, cell in enumerate(self.cells):
            # Colab keeps a cell's id in its metadata, Jupyter beside it.
            cell["id"] = cell["metadata"]["id"] = f"{cell['cell_type']}-{place:03}"
        link_cells(self.cells)
        metadata: dict[str, Any] = {
            "colab": {"provenance": [], "toc_visible": True},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        if self.mode == "budgets":
            metadata |= {"accelerator": "GPU"}
            metadata["colab"]["gpuType"] = "T4"
        return {"cells": self.cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def link_cells(cells: list[dict[str, Any]]) -> None:
    """Make links within the notebook lead to cells: ``#scrollTo=ID``, which is all that Colab follows.

    Elsewhere the same address is an anchor in that cell.
    """
    texts = [cell for cell in cells if cell["cell_type"] == "markdown"]
    homes = {name: cell["id"] for cell in texts for name in ANCHOR.findall(cell["source"])}
    for cell in texts:
        before, *rest = ANCHOR.split(cell["source"])  # text and names of anchors in turns
        here = f'<a id="scrollTo={cell["id"]}"></a>' if rest else ""
        cell["source"] = LINK.sub(
            lambda match: f"](#scrollTo={homes[match[1]]})" if match[1] in homes else match[0],
            before + here + "".join(rest[1::2]),
        )


def install(config: Config, wheel: Wheel | None) -> str:
    """The install cell."""
    small, name = json.dumps(SMALL), wheel.name if wheel else "ganlib-*.whl"
    published = addresses.raw(config.ganlib_repository, config.ganlib_notebooks_branch)
    if published and wheel:
        results = addresses.raw(config.ganlib_repository, config.ganlib_branch)
        found = PUBLISHED.format(wheel=f"{published}/{addresses.FOLDER}/{wheel.place}", results=results)
    else:
        clone = f"a clone of {config.ganlib_repository or 'the repository of the book'}"
        found = BESIDE.format(wheel=name, clone=clone, folder=addresses.FOLDER)
    return START.format(small=small) + found + BRING


def bring_wheel(app: Sphinx) -> None:
    """Build ganlib's wheel beside the notebooks, where the book's source has ganlib."""
    app.ganlib_wheel = None  # type: ignore[attr-defined]
    if app.builder.format == "html" and Path(app.srcdir, "ganlib", "__init__.py").is_file():
        app.ganlib_wheel = build_wheel(Path(app.srcdir), Path(app.outdir, addresses.FOLDER))  # type: ignore[attr-defined]


def configure(app: Sphinx, config: Config) -> None:
    """Settle the addresses once; what depends on them is in the configuration from here on."""
    config.ganlib_repository = addresses.repository(config.ganlib_repository, Path(app.srcdir))
    branch = os.environ.get("GANLIB_BRANCH", "").strip() or config.ganlib_branch
    config.ganlib_branch = addresses.branch("ganlib_branch or GANLIB_BRANCH", branch)
    addresses.branch("ganlib_notebooks_branch", config.ganlib_notebooks_branch)
    config.ganlib_book = config.html_baseurl = config.ogp_site_url = addresses.book(config.html_baseurl)


def on_page(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Write the notebook of a page with code, and add its buttons to the page's header."""
    if doctree is None or app.builder.format != "html":
        return
    path = Path(app.outdir, addresses.FOLDER, f"{posixpath.basename(pagename)}.ipynb")
    path.unlink(missing_ok=True)
    if next(doctree.findall(is_cell), None) is None:
        return
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(Export(app, pagename).notebook(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    path.write_text(text, encoding="utf-8")
    context.setdefault("header_buttons", [])[:0] = buttons(app.config, path.stem, context["pathto"])


def buttons(config: Config, name: str, pathto: Callable[[str, int], str]) -> list[dict[str, str]]:
    """The header's buttons for the notebook ``name``, as sphinx_book_theme describes them."""
    colab = addresses.colab(config.ganlib_repository, config.ganlib_notebooks_branch, name)
    notebook = pathto(f"{addresses.FOLDER}/{name}.ipynb", 1)
    names = ("text", "url", "tooltip", "icon", "label")
    found = [
        ("Colab", colab, "Open this chapter in Colab", "fas fa-play", "colab-button"),
        ("Notebook", notebook, "Download notebook", "fas fa-download", "download-notebook-button"),
    ]
    return [{"type": "link", **dict(zip(names, each, strict=True))} for each in found if each[1]]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("ganlib_repository", "", "html", str)
    app.add_config_value("ganlib_branch", "main", "html", str)
    app.add_config_value("ganlib_notebooks_branch", "notebooks", "html", str)
    app.add_config_value("ganlib_book", "", "html", str)
    app.connect("config-inited", configure)
    app.connect("builder-inited", bring_wheel)
    # After sphinx_book_theme has made its list of buttons.
    app.connect("html-page-context", on_page, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
