"""The shape of the chapters: what a page must have, and that what it names exists. Nothing is executed here."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
FILES = [TOC["root"]] + [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [chapter["file"] for part in TOC["parts"] if part["caption"] == "The walk" for chapter in part["chapters"]]
CLOSING = ["What to remember", "Exercises"]
# What a Colab reader has once ganlib is installed; anything else would fail there.
IMPORTABLE = {"ganlib", "torch", "torchvision", "numpy", "matplotlib", "sympy", "scipy", "IPython", "mpmath"}
IMPORTABLE |= {
    "contextlib",
    "inspect",
    "itertools",
    "json",
    "math",
    "pathlib",
    "sys",
    "tempfile",
    "time",
    "platform",
    "collections",
    "copy",
    "dataclasses",
    "functools",
    "textwrap",
}


def text(file):
    return (ROOT / f"{file}.md").read_text()


def cells(file):
    """Every code cell of a page as (options, code)."""
    found = []
    for block in re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", text(file), re.M | re.S):
        options = {}
        if block.startswith("---\n"):
            front, block = block[4:].split("\n---\n", 1)
            options = yaml.safe_load(front)
        while match := re.match(r":([\w-]+):(.*)\n", block):
            options[match[1]] = yaml.safe_load(match[2]) or []
            block = block[match.end() :]
        found.append((options, block))
    return found


def headings(file):
    prose = re.sub(r"^```.*?^```$", "", text(file), flags=re.M | re.S)
    return re.findall(r"^## (.+)$", prose, re.M)


def draws(code):
    return re.search(r"plt\.subplots|plt\.figure|figures\.(image_grid|samples_with|training_curves|sigma_sweep)", code)


def test_every_page_is_in_the_table_of_contents_and_every_entry_exists():
    assert sorted(FILES) == sorted(f"book/{page.stem}" for page in BOOK.glob("*.md"))


@pytest.mark.parametrize("file", FILES)
def test_front_matter_is_that_of_a_notebook(file):
    if not cells(file):
        return
    front = yaml.safe_load(text(file).split("---\n")[1])
    # Without format_name the build crashes as soon as launch buttons are on.
    assert front["jupytext"]["text_representation"]["format_name"] == "myst"
    assert front["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("file", CHAPTERS)
def test_chapter_opens_and_closes_as_chapters_do(file):
    page = text(file)
    assert f"(chap-{Path(file).name})=" in page
    assert "**The paper:**" in page
    assert headings(file)[-2:] == CLOSING
    remember = page.split("## What to remember\n")[1].split("\n## ")[0]
    assert len(re.findall(r"^- ", remember, re.M)) == 3, "three lines to remember"
    assert f"{{ref}}`listed here <tests-{Path(file).name}>`" in page.splitlines()[-1]
    assert page.count("```{exercise}") + page.count("````{exercise}") >= 2
    labels = re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", page)
    assert sorted(labels) == sorted(re.findall(r"\{solution\} (\S+)", page))


@pytest.mark.parametrize("file", FILES)
def test_figures_have_caption_name_and_alt_text(file):
    for options, code in cells(file):
        if draws(code) and "remove-output" not in options.get("tags", []):
            figure = options.get("mystnb", {}).get("figure", {})
            alt = options.get("mystnb", {}).get("image", {}).get("alt", "")
            start = code.strip().splitlines()[0]
            assert figure.get("caption"), f"{file}: no caption on the cell that starts {start!r}"
            assert figure.get("name", "").startswith("fig-"), f"{file}: no name on the cell that starts {start!r}"
            assert len(alt) >= 40, f"{file}: no alt text on the cell that starts {start!r}"
            assert alt != figure["caption"]


@pytest.mark.parametrize("file", FILES)
def test_a_drawing_call_at_the_end_of_a_cell_shows_nothing_of_its_own(file):
    """Its value, a figure or a legend, would stand below the picture, or be the picture once more."""
    for _, code in cells(file):
        last = ast.parse(code).body[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and not code.rstrip().endswith(";"):
            assert not re.match(r"(figures|axis|axes|figure|plt)\b", ast.unparse(last.value.func)), code


@pytest.mark.parametrize("file", FILES)
def test_every_cell_parses_and_what_is_not_shown_only_glues(file):
    for options, code in cells(file):
        if {"remove-cell", "remove-output"} & set(options.get("tags", [])):
            assert "glue(" in code
        ast.parse(code)


@pytest.mark.parametrize("file", FILES)
def test_chapters_import_only_what_a_reader_has(file):
    for _, code in cells(file):
        for node in ast.walk(ast.parse(code)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert {name.split(".")[0] for name in names} <= IMPORTABLE, f"{file}: {names}"


def test_labels_are_unique_across_the_book():
    found = [label for file in FILES for label in re.findall(r"^\(([\w-]+)\)=$", text(file), re.M)]
    found += [label for file in FILES for label in re.findall(r"^\$\$ \((eq-[\w-]+)\)$", text(file), re.M)]
    found += [options["mystnb"]["figure"]["name"] for file in FILES for options, _ in cells(file)
              if options.get("mystnb", {}).get("figure")]  # fmt: skip
    assert len(found) == len(set(found))


def test_glued_numbers_are_defined_once_and_quoted_numbers_are_glued():
    glued = [
        name for file in FILES for _, code in cells(file) for name in re.findall(r"""glue\(f?["']([^"']+)["']""", code)
    ]
    assert len(glued) == len(set(glued))
    for file in FILES:
        here = [name for _, code in cells(file) for name in re.findall(r"""glue\(f?["']([^"']+)["']""", code)]
        patterns = [re.sub(r"\\\{.*?\\\}", ".+", re.escape(name)) for name in here]
        for quoted in re.findall(r"\{glue:text\}`([^:`]+)", text(file)):
            assert any(re.fullmatch(p, quoted) for p in patterns), (
                f"{file} quotes {quoted}, which none of its cells glues"
            )


def test_citations_are_in_the_bibliography_and_all_of_it_is_cited():
    keys = set(re.findall(r"^@\w+\{([\w-]+),", (BOOK / "references.bib").read_text(), re.M))
    cited = {
        key.strip()
        for file in FILES
        for group in re.findall(r"\{cite:[tp]\}`([^`]+)`", text(file))
        for key in group.split(",")
    }
    assert cited <= keys
    assert keys <= cited, f"never cited: {keys - cited}"


def test_accents_in_the_bibliography_are_letters():
    """Of an accent in TeX's spelling the labels take the whole name: "GHyvarinen10" for Gutmann and Hyvärinen."""
    assert "\\" not in (BOOK / "references.bib").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", CHAPTERS)
def test_the_tests_a_chapter_names_exist(file):
    closing = text("book/map").split(f"(tests-{Path(file).name})=")[1].split("\n(tests-")[0]
    named = re.findall(r"`((?:ganlib/)?tests/[\w/]+\.py)(?:::(\w+))?`", closing)
    assert named, "a chapter names the tests that guard it"
    for path, test in named:
        tree = ast.parse((ROOT / path).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not test or test in functions, f"{file} names {path}::{test}, which does not exist"


@pytest.mark.parametrize("file", FILES)
def test_mathematics_is_closed_and_prose_has_no_stray_markup(file):
    prose = re.sub(r"^(`{3,})\{code-cell\}.*?^\1$", "", text(file), flags=re.M | re.S)
    assert prose.count("$$") % 2 == 0
    for word in ("TODO", "FIXME", "XXX", "PLACEHOLDER", "lorem"):
        assert word not in prose


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_top_level_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), f"{page} links to {link}"


def test_the_map_names_every_chapter_and_only_what_exists():
    rows = re.findall(
        r"^\| (?!The paper|---)(.+) \|$", text("book/map").split(":name: tab-map")[1].split(":::")[0], re.M
    )
    cells_of = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    assert [f"book/{re.match(r'{doc}`([a-z0-9-]+)`', row[1])[1]}" for row in cells_of] == CHAPTERS
    for _, _, modules, tests in cells_of:
        for module in re.findall(r"`(ganlib[a-z0-9_.]*)`", modules):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file(), module
        for test in re.findall(r"`(\w+)`", tests):
            assert any((ROOT / folder / f"{test}.py").is_file() for folder in ("ganlib/tests", "tests")), test
