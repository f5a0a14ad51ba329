"""No number that looks measured is typed: what the linter of prose catches, what it allows, and that builds fail."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from sphinx_pages import EXTENSIONS, build

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "floor.json"
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
CONF = """\
extensions = ["myst_nb", "sphinxcontrib.bibtex", "results", "typed_numbers", "notebooks"]
bibtex_bibfiles = ["references.bib"]
exclude_patterns = ["_build", "README.md"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline", "attrs_block"]
"""


def folder_of_a_book(folder: Path) -> Path:
    (folder / "benchmarks" / "results").mkdir(parents=True)
    shutil.copy(RESULT, folder / "benchmarks" / "results")
    (folder / "references.bib").write_text("@misc{paper2014, author={A, B and C, D}, title={T}, year={2014}}\n")
    return folder


def complaints(folder: Path) -> list[str]:
    lines = build(folder, CONF)[1].splitlines()
    assert [line for line in lines if "[ganlib.numbers]" not in line] == []
    return lines


TYPED = {
    "The score is 225.3.": "225.3",
    "It keeps .8 of them.": ".8",
    "It falls by −3.5.": "−3.5",
    "It is right in 98 % of cases.": "98 %",
    "It is right in 98% of cases.": "98%",
    "About two thirds, 66 per cent.": "66 per cent",
    "It is 30 times faster.": "30 times faster",
    "It is a 30-fold gain.": "30-fold",
    "It gains 2× over that.": "2×",
    "It gains a factor of 3.": "factor of 3",
    "Table 1 has 225 ± 2.": "225 ± 2",
    "Table 1 has 225 +- 2.": "225 +- 2",
    "It falls to 1e-6.": "1e-6",
    "It falls to 3 × 10^-6.": "3 × 10",
    "*It is **98.2** there.*": "98.2",
    "They reach 98.**2** there.": "98.2",
    "[It is 98.2 there](https://example.org/2.5).": "98.2",
    "- one\n- It is 98.2 there.": "98.2",
    "| a | b |\n|---|---|\n| c | 98.2 |": "98.2",
    ":::{note}\nIt is 98.2 there.\n:::": "98.2",
    ":::{figure} dot.png\nIt is 98.2 there.\n:::": "98.2",
    ":::{figure} dot.png\n:alt: Two bars, one at 98 %\n:::": "98 %",
    ":::{table} It is 98.2 there.\n| a |\n|---|\n| b |\n:::": "98.2",
    ":::{list-table}\n* - a\n* - It is 98.2 there.\n:::": "98.2",
    "Text[^n].\n\n[^n]: It is 98.2 there.": "98.2",
    "> It is 98.2 there.": "98.2",
    "In disguise: $225 {\\pm} 2$.": "225 ± 2",
    "In disguise:\n\n$$\nx = 225 \\,\\pm\\, 2\n$$": "225 ± 2",
    "In disguise: `225 ± 2`.": "225 ± 2",
    'He says "it is good", and it is 98.2; "yes".': "98.2",
    # A name's number ends where another begins
    "In Table 1, 98.2 was reached.": "98.2",
    "Section 5 and 98 % of the rest.": "98 %",
    "On torch 30 times faster.": "30 times faster",
    # A class that the author wrote
    "They reach [98.2 nats]{.result} here.": "98.2",
}
ALLOWED = [
    "We draw 10,000 samples of 50 images, 28 × 28 pixels, k = 1, with 4×4 maps, ten times each.",
    "Sections 4.1 and 4.2, section 5.1, Table 1, Figure 2, equations (1) to (6), Chapter 3.2, §4.",
    "In 2014, three years before 2017; arXiv:1406.2661, Python 3.11 to 3.13, torch 2.6, version 1.0.4.",
    "4.1, Proposition 1",
    "A rate of $0.1$, `0.5` or `lr=1e-3`, $\\log 4 = 1.386$, $98\\,\\%$ by design.",
    "# A title with 98.2",
    "```python\nx = 98.2  # 98 %\n```",
    "$$\nx = 98.2\n$$",
    "<p>See <code>lr=98.2</code> and Table 2.</p>\n<style>p { top: 98.2px }</style>\n<!-- 98.2 -->",
    "A rate of $0.1$ and $k = 5$ steps, $1$s and $0$s, $x \\pm 1$, $\\pm 0.5$, $3 \\pmod 2$, twice as long.",
    'One note says “the loss must be 1.386” and "at 50 % *it* ends".',
    "> It is 98.2 there.\n>\n> -- somebody {cite}`paper2014`",
    "[](https://example.org/98.2) <https://example.org/98.2>",
    "It is {result}`floor ratios.fp32 / bf16.median .2f` times faster, {result}`floor wall_seconds .1f` seconds.",
    "They have {published}`225 ± 2 <paper2014>` nats.",
    ":::{figure} dot.png\n:alt: A hump with its top at 0.25, between minus 1.5 and 1.5\n:::",
]


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The complaints about each page of a book with one page for each sentence."""
    folder = folder_of_a_book(tmp_path_factory.mktemp("numbers"))
    (folder / "dot.png").write_bytes(base64.b64decode(DOT))
    names = {f"page-{place:02}": text for place, text in enumerate([*TYPED, *ALLOWED])}
    for name, text in names.items():
        (folder / f"{name}.md").write_text(f"# Page\n\n{text}\n")
    listed = "\n".join(names)
    (folder / "index.md").write_text(f"# Book\n\n```{{toctree}}\n{listed}\n```\n\n```{{bibliography}}\n```\n")
    lines = complaints(folder)
    return {text: [line for line in lines if f"/{name}.md" in line] for name, text in names.items()}


@pytest.mark.parametrize("text", TYPED)
def test_typed_number_is_found_once(reported: dict[str, list[str]], text: str) -> None:
    lines = [line for line in reported[text] if f"a typed number, {TYPED[text]!r} (" in line]
    assert len(lines) == 1, reported[text]
    assert "{glue:text}" in lines[0]
    assert re.search(r"page-\d+\.md:\d+: WARNING: ", lines[0])


@pytest.mark.parametrize("text", ALLOWED)
def test_allowed_number_is_left_alone(reported: dict[str, list[str]], text: str) -> None:
    assert reported[text] == []


def executed(*cells: nbformat.NotebookNode) -> str:
    return nbformat.writes(nbformat.v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}}))


def glued(name: str, value: float) -> nbformat.NotebookNode:
    """A cell that was executed and glued a value, as `ganlib.notebook.glue` does it."""
    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    output = nbformat.v4.new_output("display_data", {f"{prefix}text/plain": repr(value)}, metadata=metadata)
    return nbformat.v4.new_code_cell(f"glue({name!r}, value)  # 98.2 %", outputs=[output])


def drawn(caption: str) -> nbformat.NotebookNode:
    output = nbformat.v4.new_output("display_data", {"image/png": DOT, "text/plain": "a figure"})
    metadata = {"mystnb": {"figure": {"caption": caption, "name": "fig-dot"}, "image": {"alt": "A dot at 0.5"}}}
    return nbformat.v4.new_code_cell("draw()", outputs=[output], metadata=metadata)


def test_cells_may_print_and_glue_and_captions_may_not_type(tmp_path: Path) -> None:
    folder = folder_of_a_book(tmp_path)
    printed = nbformat.v4.new_output("stream", name="stdout", text="accuracy 98.2 %")
    markdown = nbformat.v4.new_output("display_data", {"text/markdown": "It is 98.2 % there."})
    text = nbformat.v4.new_markdown_cell
    page = [
        text("# Page"),
        glued("score", 225.31),
        nbformat.v4.new_code_cell("print(0.5)", outputs=[printed, markdown]),
        text("The cell finds {glue:text}`score:.1f` ± {glue:text}`score:.0f` nats, and the index {glue:text}`other`."),
        drawn("A dot at $t = 0.5$."),
    ]
    (folder / "index.ipynb").write_text(executed(*page))
    pages, warnings = build(folder, CONF)
    assert 'class="math' in (pages / "index.html").read_text()  # in the caption
    (line,) = warnings.splitlines()  # the value that no cell computed: myst-nb says so itself
    assert "No key 'other' found in glue data" in line
    (folder / "index.ipynb").write_text(executed(text("# Page"), glued("score", 1.0), drawn("A dot at 98.2 there.")))
    (line,) = complaints(folder)
    assert "'98.2' (a decimal)" in line


def test_a_page_that_is_not_read_again_is_complained_of_again(tmp_path: Path) -> None:
    folder = folder_of_a_book(tmp_path)
    page = folder / "index.md"
    page.write_text("# Page\n\nIt is 98.2 there.\n")
    assert len(complaints(folder)) == len(complaints(folder)) == 1
    page.write_text("# Page\n\nIt is there.\n")
    assert complaints(folder) == []


def test_exported_notebook_has_the_numbers(tmp_path: Path) -> None:
    folder = folder_of_a_book(tmp_path)
    text = (
        "# Page\n\nIt is {result}`floor ratios.fp32 / bf16.median .2f`, they have {published}`225 ± 2 <paper2014>`.\n\n"
        "| a |\n|---|\n| {result}`floor wall_seconds .1f` |\n"
    )
    cells = [nbformat.v4.new_markdown_cell(text), drawn("What it is.")]
    (folder / "index.ipynb").write_text(executed(*cells))
    assert complaints(folder) == []
    notebook = json.loads((folder / "_build" / "html" / "_notebooks" / "index.ipynb").read_text())
    exported = "\n".join(cell["source"] for cell in notebook["cells"])
    result = json.loads(RESULT.read_text())
    assert f"It is {result['ratios']['fp32 / bf16']['median']:.2f}, they have 225 ± 2." in exported
    assert f"| {result['wall_seconds']:.1f} |" in exported
    assert "What it is.\n\n<details>\n<summary>The figure in words</summary>\n\nA dot at 0.5\n\n</details>" in exported


spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
book_build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(book_build)


def test_the_books_build_fails_on_typed_numbers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the real Jupyter Book, and not only when it is strict."""
    (tmp_path / "book").mkdir()
    shutil.copytree(EXTENSIONS, tmp_path / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    local = "{results: book/_ext, typed_numbers: book/_ext}"
    (tmp_path / "_config.yml").write_text(f"title: Tiny\nsphinx: {{local_extensions: {local}}}\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    page = tmp_path / "book" / "index.md"
    page.write_text("# Tiny\n\nIt is 98.2 there.\n")
    with pytest.raises(book_build.BuildError, match="1 numbers on pages have nothing behind them"):
        book_build.build(tmp_path)
    (line,) = capfd.readouterr().err.splitlines()
    assert "index.md:3: WARNING: a typed number, '98.2'" in line


def test_the_book_is_built_with_both_checks() -> None:
    sphinx = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]
    for name in ("results", "typed_numbers"):
        assert sphinx["local_extensions"][name] == "book/_ext"
        assert name in sphinx["config"]["extensions"]
    assert "suppress_warnings" not in sphinx["config"]
