"""A page with one widget and nothing else, made as the book makes its pages: state, view and loader."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipywidgets.embed import dependency_state

from ganlib.widgets import Widget

ROOT = Path(__file__).resolve().parents[2]
LOADER = ROOT / "book" / "static" / "widgets.js"


def write_page(folder: Path, widget: Widget, theme: str = "light") -> Path:
    """Write ``widget`` as ``folder/index.html`` with loader and assets; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "widgets").mkdir(exist_ok=True)
    (folder / "widgets.js").write_text(LOADER.read_text())
    for name, make in type(widget).assets.items():
        packed = base64.b64encode(make()).decode()
        (folder / "widgets" / f"{name}.js").write_text(f"ganlibFile({json.dumps(name)}, {json.dumps(packed)});")
    state: Mapping[str, Any] = {
        "version_major": 2,
        "version_minor": 0,
        "state": dependency_state(widget, drop_defaults=False),
    }
    view = {"model_id": widget.model_id, "version_major": 2, "version_minor": 0}

    def script(kind: str, content: Mapping[str, Any]) -> str:
        text = json.dumps(content).replace("<", "\\u003c")
        return f'<script type="application/vnd.jupyter.widget-{kind}+json">{text}</script>'

    colours = "background: #121212; color: #fff" if theme == "dark" else "background: #fff"
    page = folder / "index.html"
    page.write_text(
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>A widget</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>body {{ {colours} }}</style></head>"
        f"<body><main><h1>A widget</h1>{script('view', view)}</main>{script('state', state)}"
        '<script src="widgets.js"></script></body></html>'
    )
    return page
