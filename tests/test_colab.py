"""The exported notebooks, and the package's own tests, with the packages that Colab has.

``colab-pins.txt`` is its list. Each notebook is executed as there: a kernel of its own in an empty folder, ganlib not
installed, its own install cell run first. What that cell and the chapter fetch comes from this checkout, through a
server on this machine that answers as GitHub would.
"""

from __future__ import annotations

import datetime
import http.server
import re
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from environments import Outdated, made, package_tests, without_checkout
from jupyter_cache import get_cache
from test_exported_notebooks import CHAPTERS, FOLDER, SOURCE, exported

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "tests" / "colab-pins.txt"
GITHUB = "https://raw.githubusercontent.com/o/r"
MOST_BYTES = 10e6  # of results that one chapter fetches
WIDGETS = {
    "index": {"Figure1Live"},
    "fifteen-minutes": {"Figure1Live"},
    "optimal-discriminator": {"OptimalDiscriminator"},
    "global-optimum": {"OptimalDiscriminator"},
    "algorithm-1": {"Figure1Live", "Playground"},
    "convergence": {"DiracGan"},
    "experiments": {"LatentExplorer"},
    "parzen": {"ParzenExplorer"},
}
VIEW = "application/vnd.jupyter.widget-view+json"
# An object that a cell's last line shows by accident: its repr says nothing to a reader.
OBJECT = re.compile(r"^(<.*>|device\(.*\)|(Text|Line2D|Figure|array|tensor)\(.*|\[<.*>\])$", re.S)


@dataclass
class Site:
    """Where a notebook finds what it fetches; ``asked`` has the paths it asked for and the bytes it got."""

    address: str
    asked: list[tuple[str, int]] = field(default_factory=list)


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of an environment with Colab's packages; 3.13 where there is one."""
    listed = re.search(r"(\w+ \d{4}) \(", PINS.read_text(encoding="utf-8"))
    age = datetime.datetime.now() - datetime.datetime.strptime(listed[1], "%B %Y")
    if age.days > 270:
        warnings.warn(f"tests/colab-pins.txt is of {listed[1]}; compare it with `pip list` on Colab", stacklevel=1)
    try:
        return made("colab")
    except Outdated as reason:
        pytest.skip(str(reason))


@pytest.fixture
def site() -> Iterator[Site]:
    """A server that has the built notebooks and wheels, and this checkout's results."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            parts = path.removeprefix("/o/r/").split("/")
            places = {"notebooks": FOLDER.parent, "main": ROOT}
            file = places.get(parts[0], Path("/nowhere")).joinpath(*parts[1:])
            if ".." in parts or not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            found.asked.append((path, len(content)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Site(f"http://127.0.0.1:{server.server_port}/o/r")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def install_cell(repository: str) -> str:
    """What the book's extension writes as the install cell for a repository, with the wheel of the built book."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import notebooks
    finally:
        sys.path.pop(0)
    (wheel,) = (FOLDER / "wheels").glob("*/*.whl")
    config = type("Config", (), {"ganlib_repository": repository, "ganlib_branch": "main"})()
    config.ganlib_notebooks_branch = "notebooks"
    found = notebooks.Wheel(wheel.name, f"wheels/{wheel.parent.name}/{wheel.name}")
    return notebooks.install(config, found)


def run(python: Path, notebook: nbformat.NotebookNode, place: Path, *, apart: bool = True) -> nbformat.NotebookNode:
    """Execute a notebook in an empty folder; what its pip installs goes into a folder of its own, if ``apart``."""
    folder, site, source, target = (place / name for name in ("content", "site", "in.ipynb", "out.ipynb"))
    for each in (folder, site, place / "home"):
        each.mkdir(exist_ok=True)
    nbformat.write(notebook, source)
    own = {"HOME": str(place / "home"), "IPYTHONDIR": str(place / "ipython"), "MPLCONFIGDIR": str(place / "mpl")}
    own |= {"JUPYTER_PREFER_ENV_PATH": "1", **({"PIP_TARGET": str(site), "PYTHONPATH": str(site)} if apart else {})}
    script = [python, ROOT / "tests" / "execute_as_colab.py", source, folder, target]
    done = subprocess.run(script, cwd=place, env=without_checkout() | own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not {"torch", "torchvision", "numpy", "IPython", "traitlets"} & {each.name for each in site.iterdir()}
    return nbformat.read(target, as_version=4)


@cache
def shown_on_the_page(page: str) -> list[nbformat.NotebookNode]:
    """The code cells of a page with the outputs that its build stored."""
    cached = get_cache(SOURCE / "_build" / ".jupyter_cache")
    found = {Path(record.uri).stem: record for record in cached.list_cache_records()}
    bundle = cached.get_cache_bundle(found[Path(page).name].pk)
    cells = [cell for cell in bundle.nb.cells if cell.cell_type == "code"]
    return [cell for cell in cells if "remove-cell" not in cell.metadata.get("tags", [])]  # see book/silent.py


def kinds(cell: nbformat.NotebookNode) -> set[str]:
    """What a reader sees below a cell: "picture", "table", "text", "widget"."""
    seen = set()
    for output in cell.outputs:
        if output.output_type == "stream":
            lines = [line for line in output.text.splitlines() if not line.startswith("fetching ")]
            if output.name == "stdout" and any(re.sub(r"\x1b\][^\a]*\a", "", line).strip() for line in lines):
                seen.add("text")  # IPython 7 also writes the terminal's title
            continue
        data = output.get("data", {})
        if VIEW in data:
            seen.add("widget")
        elif "image/png" in data:
            seen.add("picture")
        elif {"text/html", "text/markdown", "text/latex"} & data.keys():
            seen.add("table")
        elif "text/plain" in data:
            seen.add("text")
            assert not OBJECT.match(data["text/plain"]), data["text/plain"]
    return seen


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_shows_on_colab_what_its_page_shows(page: str, python: Path, site: Site, tmp_path: Path) -> None:
    notebook = exported(page)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source = install_cell("https://github.com/o/r").replace(GITHUB, site.address)
    assert site.address in code[0].source
    executed = run(python, notebook, tmp_path)
    install, check, *cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert "ganlib is here" in "".join(output.get("text", "") for output in install.outputs)
    assert "This chapter" in check.outputs[0].text

    on_page = shown_on_the_page(page)
    assert len(cells) == len(on_page)
    for cell, there in zip(cells, on_page, strict=True):
        assert kinds(cell) == kinds(there), cell.source

    widgets = executed.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {"state": {}})
    states = [model["state"] for model in widgets["state"].values()]
    alive = {state["_anywidget_id"].rpartition(".")[2] for state in states if state.get("_esm")}
    assert alive == WIDGETS.get(Path(page).name, set())

    results = [(path, size) for path, size in site.asked if path.startswith("/o/r/main/")]
    assert len(results) == len(set(results)), "a result is fetched once"
    total = sum(size for _, size in results)
    said = sum(output.get("text", "").count("fetching ") for cell in cells for output in cell.outputs)
    assert said == len(results)
    print(f"{page}: fetches {len(results)} results, {total / 1e6:.1f} MB")
    assert total < MOST_BYTES


def test_a_clone_beside_the_notebook_will_do(python: Path, tmp_path: Path) -> None:
    """Where the book's address is not known: its results are found in the clone, too."""
    notebook = exported("book/experiments")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[0].source = install_cell("")
    look = nbformat.v4.new_code_cell("from ganlib.notebook import committed\nprint(committed('vae.json'))")
    notebook.cells = [*code[:2], look]
    clone = tmp_path / "content" / "clone"
    clone.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    shutil.copytree(ROOT / "ganlib", clone / "ganlib", ignore=shutil.ignore_patterns("__pycache__", "tests"))
    (clone / "book" / "results").mkdir(parents=True)
    shutil.copy(ROOT / "book" / "results" / "vae.json", clone / "book" / "results")
    try:  # pip cannot build a package and install it into a folder of its own at once
        install, _, found = run(python, notebook, tmp_path, apart=False).cells
    finally:
        pip = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "ganlib", "torchmetrics", "lightning-utilities"]
        subprocess.run(pip, check=True)
    assert "ganlib is here" in "".join(output.get("text", "") for output in install.outputs)
    assert found.outputs[0].text.strip() == str(clone / "book" / "results" / "vae.json")


def test_the_packages_own_tests_pass(python: Path, tmp_path: Path) -> None:
    done = package_tests(python, tmp_path)
    print(done.stdout.splitlines()[-1] if done.stdout else done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
