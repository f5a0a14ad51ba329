"""The notebooks a Colab reader opens: those of the built book, read through. test_colab.py executes them.

Without a built book (`make book`) the tests skip, and say so. GANLIB_TEST_PAGES names another folder of built pages,
and GANLIB_TEST_SOURCE the folder of their sources.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
import yaml

SOURCE = Path(os.environ.get("GANLIB_TEST_SOURCE", "").strip() or Path(__file__).resolve().parents[1])
FOLDER = Path(os.environ.get("GANLIB_TEST_PAGES", "").strip() or SOURCE / "_build" / "html") / "_notebooks"
TOC = yaml.safe_load((SOURCE / "_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.M | re.S)
CHAPTERS = [page for page in PAGES if CELL.search((SOURCE / f"{page}.md").read_text(encoding="utf-8"))]
OURS = 3  # what this is, the install cell, the GPU check
MACROS = yaml.safe_load((SOURCE / "_config.yml").read_text())["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]


def newest(page: str) -> float:
    return (SOURCE / f"{page}.md").stat().st_mtime


def exported(page: str) -> nbformat.NotebookNode:
    """The exported notebook of a page; the test skips where the book is not built, or built before its last edit."""
    path = FOLDER / f"{Path(page).name}.ipynb"
    if not path.is_file():
        pytest.skip(f"{path.name} is not built: run make book first")
    if path.stat().st_mtime < newest(page):
        pytest.skip(f"{path.name} is older than {page}.md: run make book again")
    return nbformat.read(path, as_version=4)


def prose(notebook: nbformat.NotebookNode) -> str:
    """The Markdown of all cells."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def without_code(text: str) -> str:
    text = re.sub(r"^[ >]*(```+)[^\n]*\n.*?^[ >]*\1$", "", text, flags=re.M | re.S)
    return re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def formulas(text: str) -> tuple[list[str], str]:
    """The formulas of a text without code, and what is left of it."""
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        found.append(match[1])
        return "M"

    text = re.sub(r"(?<!\\)\$\$(.+?)\$\$", take, text, flags=re.S)
    return found, re.sub(r"(?<!\\)\$((?:\\.|[^$\\\n])+)\$", take, text)


def source_cells(page: str) -> list[tuple[list[str], str]]:
    """Tags and code of each code cell in a page's source."""
    cells = []
    for block in CELL.findall((SOURCE / f"{page}.md").read_text(encoding="utf-8")):
        options: dict = {}
        if block.startswith("---\n"):
            front, block = block[4:].split("\n---\n", 1)
            options = yaml.safe_load(front)
        while match := re.match(r":([\w-]+):(.*)\n", block):
            options[match[1]] = yaml.safe_load(match[2]) or []
            block = block[match.end() :]
        cells.append((options.get("tags", []), block.strip("\n")))
    return cells


@pytest.mark.parametrize("page", CHAPTERS)
def test_all_code_of_the_chapter_is_there_in_order(page: str) -> None:
    notebook = exported(page)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    expected = [(tags, code) for tags, code in source_cells(page) if "remove-cell" not in tags]  # see book/silent.py
    assert [cell.source for cell in cells[OURS - 1 :]] == [code for _, code in expected]
    assert [cell.metadata.get("tags", []) for cell in cells[OURS - 1 :]] == [tags for tags, _ in expected]
    hidden = [cell.metadata.get("cellView") == "form" for cell in cells[OURS - 1 :]]
    assert hidden == ["hide-input" in tags for tags, _ in expected]


@pytest.mark.parametrize("page", CHAPTERS)
def test_it_opens_with_what_it_is_the_install_cell_and_the_check(page: str) -> None:
    first, install, check = exported(page).cells[:OURS]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert f"{page}.html)" in first.source
    assert install.metadata["tags"] == ["ganlib-install"]
    assert "pip install" in install.source
    small = re.search(r"\[([^\]]*)\]", install.source)
    assert small is None or not re.search(r"\b(torch|torchvision|numpy)\b", small[1])  # never asked of pip
    assert re.search(r"^gpu_check\(\"(budgets|complete|cpu)\"\)$", check.source, re.M)


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_text_is_plain_markdown(page: str) -> None:
    text = prose(exported(page))
    assert not re.search(r"^[ >]*(:::+|```+)\s*\{", text, re.M)
    code_free = without_code(text)
    found, rest = formulas(code_free)
    assert not re.search(r"\{[a-z][\w:+-]*\}M?`|\{[a-z][\w:-]*\}`", text)
    assert "{glue" not in text
    # What is left has neither a dollar nor a backslash of LaTeX in it.
    assert not re.search(r"(?<!\\)\$", rest), re.findall(r".{40}(?<!\\)\$.{40}", rest)
    assert not re.search(r"\\[A-Za-z]{2}", rest), re.findall(r".{0,40}\\[A-Za-z]{2}.{0,40}", rest)
    assert found or page == "book/reproducing"  # which has no formula


@pytest.mark.parametrize("page", CHAPTERS)
def test_formulas_are_balanced_and_know_no_macro_of_the_book(page: str) -> None:
    found, _ = formulas(without_code(prose(exported(page))))
    for formula in found:
        bare = re.sub(r"\\[{}\\]", "", formula)
        assert bare.count("{") == bare.count("}"), formula
        assert len(re.findall(r"\\left(?![a-z])", formula)) == len(re.findall(r"\\right(?![a-z])", formula)), formula
        open_ones: list[str] = []
        for which, name in re.findall(r"\\(begin|end)\{([^}]*)\}", formula):
            assert which == "begin" or (open_ones and open_ones.pop() == name), formula
            open_ones += [name] if which == "begin" else []
        assert not open_ones, formula
        assert not re.search(rf"\\(?:{'|'.join(MACROS)})(?![A-Za-z])", formula), formula
        assert not re.search(r"\\(label|eqref|ref)\b|\\begin\{(align|gather|equation)\*?\}", formula), formula


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_link_leads_somewhere(page: str) -> None:
    text = without_code(prose(exported(page)))
    _, rest = formulas(text)
    anchors = re.findall(r'<a id="([^"]+)">', rest)
    assert len(anchors) == len(set(anchors))
    ids = {cell.metadata["id"] for cell in exported(page).cells}
    for target in re.findall(r"\]\(([^)\s]*)\)", rest):
        if target.startswith("#"):
            assert target[1:] in anchors, target
            assert target.removeprefix("#scrollTo=") in ids, target  # the one form that Colab follows
        elif target.startswith("../"):  # the book's address is not known: within the built book
            assert (FOLDER / target.partition("#")[0]).is_file(), target
        else:
            assert re.match(r"https?://[\w.-]+\.\w+|data:image/", target), target


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_image_says_what_it_shows(page: str) -> None:
    notebook = exported(page)
    text = without_code(prose(notebook))
    assert all(alt.strip() for alt in re.findall(r"!\[([^\]]*)\]\(", text))
    assert not re.search(r"<img(?![^>]*alt=\"[^\"]+\")", text)
    alts = re.findall(r"^ +alt: *(.+)$", (SOURCE / f"{page}.md").read_text(encoding="utf-8"), re.M)
    # Each figure that a cell draws has its description below the cell.
    assert text.count("<summary>The figure in words</summary>") >= len([alt for alt in alts if alt.strip("\"' ")])


@pytest.mark.parametrize("page", CHAPTERS)
def test_numbers_are_those_of_the_page(page: str) -> None:
    """Equations, headings, figures, theorems and exercises carry the numbers that the HTML page shows."""
    text, path = prose(exported(page)), FOLDER.parent / f"{page}.html"
    html = path.read_text(encoding="utf-8")
    article = html[html.index("<article") : html.index("</article")]
    assert re.findall(r"\\tag\{([\d.]+)\}", text) == re.findall(r'<span class="eqno">\(([\d.]+)\)', article)
    headings = re.findall(r"^#{1,6} ([\d.]+)\. ", text, re.M)
    assert headings == re.findall(r'<h[1-6]><span class="section-number">([\d.]+)\. </span>', article)
    figures = re.findall(r"^\*\*(Fig\. [\d.]+)\.\*\*", text, re.M)
    assert figures == re.findall(r'<span class="caption-number">(Fig\. [\d.]+) </span>', article)
    named = re.findall(r"^(?:> )?\*\*((?:Theorem|Lemma|Algorithm|Exercise) [\d.]+)\*\*", text, re.M)
    shown = re.findall(r'<span class="caption-number">((?:Theorem|Lemma|Algorithm|Exercise) [\d.]+) </span>', article)
    assert named == shown


@pytest.mark.parametrize("page", CHAPTERS)
def test_nothing_forces_the_cpu_where_there_is_a_gpu(page: str) -> None:
    """A chapter with two budgets asks ganlib for the device and names none, so a GPU runs the full one unedited."""
    notebook = exported(page)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code" and "%pip" not in cell.source)
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    setups = [call for call in calls if getattr(call.func, "id", "") == "setup"]
    if page == "book/index" or not any(getattr(call.func, "id", "") == "on_gpu" for call in calls):
        assert notebook.metadata.get("accelerator") is None
        assert 'gpu_check("budgets")' not in code
        return
    assert notebook.metadata.accelerator == "GPU"
    assert 'gpu_check("budgets")' in code
    assert setups
    assert not any(call.args or call.keywords for call in setups)
    assert not re.search(r"GANLIB_DEVICE|CUDA_VISIBLE_DEVICES|set_default_device", code)
