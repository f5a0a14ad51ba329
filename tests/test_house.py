"""Two wings: the lecture above, the lab below it, and no file that needs itself."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ganlib"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if "tests" not in path.parts
}
# What a chapter may import of the lab; the page about runs shows all of it.
OF_THE_LAB = {"ganlib.lab.runs", "ganlib.lab.results"}


def imports(source, name="", package=False):
    """The modules of ganlib that source imports, wherever in it, those for types alone too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = name.split(".")[: -node.level + package or None] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in FILES else base for alias in node.names}
    return {each for each in found if each in FILES} - {name}


GRAPH = {name: imports(path.read_text(), name, path.name == "__init__.py") for name, path in FILES.items()}


def test_imports_are_found_in_every_form():
    source = "import ganlib.theory\nfrom ganlib import losses as l, __version__\ndef f():\n    from . import runs, nets"
    found = imports(source, "ganlib.lab.training")
    assert found == {"ganlib.theory", "ganlib.losses", "ganlib", "ganlib.lab.runs", "ganlib.lab"}


def test_no_module_needs_itself():
    assert len(GRAPH) > 100
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    TopologicalSorter({name: needs - {"ganlib"} for name, needs in GRAPH.items()}).prepare()


def test_nothing_of_the_lecture_imports_the_lab():
    lab = {name for name in FILES if f"{name}.".startswith("ganlib.lab.")}
    assert len(lab) > 30
    assert not {name: GRAPH[name] & lab for name in set(FILES) - lab - {"ganlib.__main__"} if GRAPH[name] & lab}


def test_chapters_import_of_the_lab_only_its_doors():
    for page in (ROOT / "book").glob("*.md"):
        fence = r"^```\{code-cell\}[^\n]*\n(?:---\n.*?\n---\n|(?::[^\n]*\n)*)(.*?)^```"
        cells = re.findall(fence, page.read_text(), re.M | re.S)
        used = set(chain.from_iterable(imports(re.sub(r"^[%!].*$", "", cell, flags=re.M)) for cell in cells))
        lab = {name for name in used if name.startswith("ganlib.lab.")}
        # Decision 0010: the page on the lab shows all of it; two pages train many small pairs side by side.
        if page.name in ("algorithm-1.md", "more-algorithm-1.md"):
            lab -= {"ganlib.lab.speed.ensembles", "ganlib.lab.speed.game"}
        assert page.name == "runs.md" or lab <= OF_THE_LAB, page.name


def test_the_top_floor_can_be_seen_at_a_glance():
    here = [path for path in PACKAGE.iterdir() if path.name not in ("__pycache__",)]
    assert sum(path.is_file() for path in here) <= 16
    assert sum(path.is_dir() for path in here) <= 7


def test_the_package_s_own_map_names_every_room():
    said = set(re.findall(r"`([\w.]+)`", (PACKAGE / "__init__.py").read_text()))
    rooms = {name.removeprefix("ganlib.") for name in FILES} - {"ganlib", "__main__", "conftest"}
    whole = {"nets", "proofs", "metrics", "widgets", "lab.cli", "lab.models", "lab.studies"}  # named as one
    wanted = {room for room in rooms if not any(room.startswith(f"{each}.") for each in whole)}
    assert said == wanted | {"tests"}
