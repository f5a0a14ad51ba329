"""Widgets on pages without a kernel: the text first, then what the widgets need, each file once for the whole site.

Every widget of the book is an anywidget, so a page needs no general widget manager: ``book/static/widgets.js`` runs the
widgets' own modules (docs/decisions/0005). myst-nb puts the widgets' whole state into the page, modules and styles
included. Here those leave the page for files below ``_static/widgets``, which the loader asks for once the text is
there; assets that a widget loads on demand are written beside them, by the functions that answer where there is a
kernel. A page with a widget of another kind would show nothing there, which is a warning.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

OURS = "ganlib.widgets."
SILENT = {"LayoutModel"}  # draws nothing: an anywidget brings its layout along
TEXTS = ("_esm", "_css")
FILES = "ganlib_widget_files"
logger = logging.getLogger(__name__)


def lighten(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], set[str]]:
    """A page's widget state without modules and styles.

    Returns
    -------
    dict
        The state, each module or style in it replaced by ``{"file": name}``, and with ``_files``, from the names of the
        model's assets to those of their files; layouts are left out.
    dict
        What these files hold, by name: the texts, and the assets in base64.
    set
        The models that are not ganlib's widgets.
    """
    light: dict[str, Any] = {}
    texts: dict[str, str] = {}
    others: set[str] = set()
    for name, model in state.items():
        if model["model_name"] in SILENT:
            continue
        traits = dict(model["state"])
        owner = str(traits.get("_anywidget_id", model["model_name"]))
        if owner.startswith(OURS):
            module, _, name_of_class = owner.rpartition(".")
            kind = getattr(import_module(module), name_of_class)
            packed = {asset: base64.b64encode(make()).decode() for asset, make in kind.assets.items()}
            if packed:
                traits["_files"] = {asset: hashed(asset, text) for asset, text in packed.items()}
                texts |= {traits["_files"][asset]: text for asset, text in packed.items()}
        else:
            others.add(owner)
        for key in TEXTS:
            if traits.get(key):
                stem = owner.rpartition(".")[2].lower() if key == "_esm" else "style"
                file = hashed(stem, traits[key])
                texts[file] = traits[key]
                traits[key] = {"file": file}
        light[name] = {**model, "state": traits}
    return light, texts, others


def hashed(stem: str, text: str) -> str:
    """A name that changes with the text: no browser then takes an old file for the new one."""
    return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Lighten the page just read."""
    page = pages(app).get(app.env.docname, {})
    files = page.get("js_files", {})
    if "ipywidgets_state" not in files:
        return
    uri, options = files["ipywidgets_state"]
    content = json.loads(options["body"])
    content["state"], page[FILES], others = lighten(content["state"])
    # Within a script element both "</script" and "<!--" mean something to the browser.
    files["ipywidgets_state"] = (uri, {**options, "body": json.dumps(content).replace("<", "\\u003c")})
    for each in sorted(others):
        logger.warning("%s: %s is not one of ganlib's widgets; the page cannot show it", app.env.docname, each)


def pages(app: Sphinx) -> dict[str, dict[str, Any]]:
    """What myst-nb keeps of each page with the environment: a later build may not read the page again."""
    return getattr(app.env, "nb_metadata", {})


def write_files(app: Sphinx, error: Exception | None) -> None:
    """Write every file the pages' widgets need, as scripts: those also load on pages opened from the disk."""
    if error is not None or app.builder.format != "html":
        return
    contents = {name: text for page in pages(app).values() for name, text in page.get(FILES, {}).items()}
    folder = Path(app.outdir) / "_static" / "widgets"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(contents.items()):
        (folder / f"{name}.js").write_text(f"ganlibFile({json.dumps(name)}, {json.dumps(text)});\n", encoding="utf-8")
    for old in folder.glob("*.js"):
        if old.stem not in contents:
            old.unlink()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("doctree-read", collect)
    app.connect("build-finished", write_files)
    return {"version": "1", "env_version": 3, "parallel_read_safe": True, "parallel_write_safe": True}
