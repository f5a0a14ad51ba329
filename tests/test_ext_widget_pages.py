"""A page's widgets leave their modules to files of the site; what a page cannot show is a warning."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from sphinx_pages import build as build_pages

CONF = """\
extensions = ['myst_nb', 'widget_pages']
nb_execution_mode = 'off'
nb_ipywidgets_js = {}
root_doc = 'one'
exclude_patterns = ['_build']
suppress_warnings = ['myst-nb.lexer']
"""
VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
MODULE = "export default { render({ el }) { el.append('</script>'); } };"
MARKUP = "<!--<script> </script> & \\\\u003c"


def model(owner: str, **state: Any) -> dict[str, Any]:
    traits = {"_anywidget_id": owner, "_esm": MODULE, "_css": "p {}", **state}
    return {"model_name": "AnyModel", "model_module": "anywidget", "model_module_version": "~0.11.*", "state": traits}


LAYOUT = {
    "model_name": "LayoutModel",
    "model_module": "@jupyter-widgets/base",
    "model_module_version": "2",
    "state": {},
}
OTHER = {"model_name": "IntSliderModel", "model_module": "@jupyter-widgets/controls", "state": {"value": 3}}


def page(folder: Path, name: str, state: dict[str, Any]) -> None:
    """A notebook, already executed, whose one cell shows the first model of ``state``."""
    view = {"model_id": next(iter(state)), "version_major": 2, "version_minor": 0}
    output = nbformat.v4.new_output("display_data", {VIEW: view, "text/plain": "a widget"})
    cells = [nbformat.v4.new_markdown_cell(f"# {name}"), nbformat.v4.new_code_cell("widget", outputs=[output])]
    packed = {"version_major": 2, "version_minor": 0, "state": state}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {STATE: packed}})
    nbformat.write(notebook, folder / f"{name}.ipynb")


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module ganlib.widgets.trial with a class that has an asset."""
    module = ModuleType("ganlib.widgets.trial")
    module.Trial = type("Trial", (), {"assets": {"digits": lambda: b"\x00\xff"}})
    monkeypatch.setitem(sys.modules, "ganlib.widgets.trial", module)


def build(folder: Path) -> tuple[Path, str]:
    return build_pages(folder, CONF)


def state_of(html: str) -> dict[str, Any]:
    return json.loads(re.search(rf'<script type="{re.escape(STATE)}">(.*?)</script>', html, re.S)[1])["state"]


def test_modules_leave_the_page_for_files_written_once(tmp_path: Path, ours: None) -> None:
    owner = "ganlib.widgets.trial.Trial"
    page(tmp_path, "one", {"a": model(owner, width=1.5, text=MARKUP), "b": model(owner, width=2.0), "l": LAYOUT})
    page(tmp_path, "two", {"c": model(owner)})
    notebook = nbformat.read(tmp_path / "two.ipynb", 4)
    notebook.metadata["orphan"] = True
    nbformat.write(notebook, tmp_path / "two.ipynb")
    out, warnings = build(tmp_path)
    assert warnings == ""
    state = state_of((out / "one.html").read_text())
    assert set(state) == {"a", "b"}
    assert state["a"]["state"]["width"] == 1.5
    assert state["b"]["state"]["_esm"] == state["a"]["state"]["_esm"]
    files = {path.stem: path.read_text() for path in (out / "_static" / "widgets").glob("*.js")}
    assert state["a"]["state"]["text"] == MARKUP
    (asset, file), *others = state["a"]["state"]["_files"].items()
    assert (asset, others) == ("digits", [])
    assert re.fullmatch("digits-[0-9a-f]{12}", file)
    assert set(files) == {state["a"]["state"]["_esm"]["file"], state["a"]["state"]["_css"]["file"], file}
    kept = {
        name: json.loads(re.fullmatch(r"ganlibFile\((.*)\);\n", text)[1].join("[]")) for name, text in files.items()
    }
    assert kept[state["a"]["state"]["_esm"]["file"]] == [state["a"]["state"]["_esm"]["file"], MODULE]
    assert kept[file][0] == file
    assert base64.b64decode(kept[file][1]) == b"\x00\xff"


def test_nothing_in_a_state_ends_its_script_or_opens_a_comment(tmp_path: Path, ours: None) -> None:
    page(tmp_path, "one", {"a": model("ganlib.widgets.trial.Trial", text=MARKUP)})
    out, _ = build(tmp_path)
    body = re.search(rf'<script type="{re.escape(STATE)}">(.*?)</script>', (out / "one.html").read_text(), re.S)[1]
    assert "<" not in body
    assert json.loads(body)["state"]["a"]["state"]["text"] == MARKUP


def test_other_bytes_are_another_file_and_the_old_one_goes(
    tmp_path: Path, ours: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = sys.modules["ganlib.widgets.trial"].Trial
    page(tmp_path, "one", {"a": model("ganlib.widgets.trial.Trial")})

    def built() -> tuple[str, set[str]]:
        out, _ = build(tmp_path)
        state = state_of((out / "one.html").read_text())["a"]["state"]
        return state["_files"]["digits"], {path.stem for path in (out / "_static" / "widgets").iterdir()}

    first, before = built()
    monkeypatch.setattr(trial, "assets", {"digits": lambda: b"other"})
    same, unread = built()  # a page that is not read again keeps what it asks for
    assert (same, unread) == (first, before)
    page(tmp_path, "one", {"a": model("ganlib.widgets.trial.Trial", width=2.0)})
    second, after = built()
    assert second != first
    assert after == (before - {first}) | {second}


def test_a_page_without_widgets_has_nothing_of_them(tmp_path: Path) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# one")]), tmp_path / "one.ipynb")
    out, warnings = build(tmp_path)
    assert warnings == ""
    assert "widget" not in (out / "one.html").read_text()


@pytest.mark.parametrize("stranger", [OTHER, model("someone.Else")])
def test_a_widget_of_another_kind_is_a_warning(tmp_path: Path, stranger: dict[str, Any]) -> None:
    page(tmp_path, "one", {"a": stranger})
    _, warnings = build(tmp_path)
    name = stranger["state"].get("_anywidget_id", "IntSliderModel")
    assert f"one: {name} is not one of ganlib's widgets; the page cannot show it" in warnings
