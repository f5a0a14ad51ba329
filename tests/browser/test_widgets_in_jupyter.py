"""Every widget runs under anywidget's own front end, the file that notebooks load, and ends when it is closed.

Around it are the few parts of Jupyter's model and view that it uses, and the Python object for a kernel.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

from ganlib import widgets
from ganlib.widgets.parzen_explorer import SWEEP

from . import pages

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRONT_END = Path(sys.prefix) / "share" / "jupyter" / "nbextensions" / "anywidget" / "index.js"
# What Python sets, the control that shows it, and a number that follows.
CHANGES: dict[str, tuple[str, Any, str]] = {
    "DiracGan": ("theta", 2.5, "first-radius-start"),
    "Figure1Live": ("data", "uniform", "jsd"),
    "LatentExplorer": ("s", 0.5, "distance-1"),
    "OptimalDiscriminator": ("model_at", 2.5, "jsd"),
    "ParzenExplorer": ("sigma", json.loads(SWEEP.read_text())["sigmas"][3], "value-0"),
    "Playground": ("perfect", True, "jsd"),
}
KINDS = sorted(set(widgets.__all__) - {"Widget"})
# Events as Backbone has them, which Jupyter's models are made of: a listener belongs to a context, and goes with it.
BASE = """
class DOMWidgetModel {
  constructor(state) {
    Object.assign(this, { state, heard: [], changed: {}, sent: Promise.resolve() });
    this.initialize();
  }
  initialize() {}
  get(name) { return this.state[name]; }
  set(name, value) {
    if (typeof name === "object") return Object.entries(name).forEach((pair) => this.set(...pair));
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = this.changed[name] = value;
    this.emit(`change:${name}`, this, value, {});
    this.emit("change", this, {});
  }
  save_changes() {
    const changed = this.changed;
    this.changed = {};
    this.sent = this.sent.then(() => globalThis.toPython("update", changed));
  }
  send(content) {
    this.sent = this.sent.then(() => globalThis.toPython("custom", content)).then((answers) => {
      for (const [message, buffers] of answers) {
        const bytes = buffers.map((each) => Uint8Array.from(atob(each), (letter) => letter.charCodeAt(0)).buffer);
        this.emit("msg:custom", message, bytes);
      }
    });
  }
  on(names, callback, context) {
    for (const name of names.split(" ")) this.heard.push({ name, callback, context });
  }
  once(name, callback) { this.on(name, callback); }
  off(name, callback, context) {
    const fits = (each) => (!name || each.name === name) && (!callback || each.callback === callback)
      && (!context || each.context === context);
    this.heard = this.heard.filter((each) => !fits(each));
  }
  emit(name, ...rest) {
    for (const each of this.heard.filter((one) => one.name === name)) each.callback.apply(each.context ?? this, rest);
  }
}
class DOMWidgetView {
  constructor(model) {
    this.model = model;
    this.el = document.createElement("div");
    this.$el = { empty: () => this.el.replaceChildren() };
    document.querySelector("main").append(this.el);
  }
  remove() { this.el.remove(); }
}
globalThis.define = (needs, make) => Object.assign(globalThis, make({ DOMWidgetModel, DOMWidgetView }));
globalThis.frames_asked = 0;
const ask = globalThis.requestAnimationFrame;
globalThis.requestAnimationFrame = (callback) => { globalThis.frames_asked += 1; return ask(callback); };
"""
OPEN = """(state) => {
  globalThis.model = new AnyModel(state);
  globalThis.views = [];
  globalThis.open = () => views.push(new AnyView(model)) && views.at(-1).render();
}"""
SEEN = """(name) => [...document.querySelectorAll(`.ganlib-widget dd[data-name="${name}"]`)]
  .map((each) => Number(each.dataset.value))"""
CONTROLS = """(name) => [...document.querySelectorAll(`.ganlib-widget :is(input, select)[data-name="${name}"]`)]
  .map((each) => (each.type === "checkbox" ? each.checked : each.value))"""


@pytest.fixture
def kernel(page: Page, tmp_path: Path) -> Any:
    """Open a page where anywidget runs the widgets of Python: each has a model there, and no view yet."""
    if not FRONT_END.is_file():
        pytest.skip(f"anywidget's front end is not at {FRONT_END}: install anywidget from a wheel")
    (tmp_path / "base.js").write_text(BASE, encoding="utf-8")
    (tmp_path / "anywidget.js").write_text(FRONT_END.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Jupyter</title><link rel="icon" href="data:,">'
        '<main></main><script src="base.js"></script><script src="anywidget.js"></script></html>',
        encoding="utf-8",
    )

    def start(widget: widgets.Widget) -> None:
        answers: list[Any] = []
        widget.send = lambda content, buffers=(): answers.append(
            (content, [base64.b64encode(each).decode() for each in buffers])
        )

        def to_python(kind: str, content: dict[str, Any]) -> list[Any]:
            answers.clear()
            if kind == "update":
                widget.set_state(content)
            else:
                widget._handle_custom_msg(content, [])
            return list(answers)

        page.expose_function("toPython", to_python)
        page.goto(f"{address}index.html")
        page.evaluate(OPEN, widget.get_state())

    with contextlib.ExitStack() as stack:
        address = stack.enter_context(pages.serve(tmp_path))
        yield start


def open_two_views(page: Page) -> None:
    """Open two views of the model, and wait until they are drawn, what they load included."""
    page.evaluate("Promise.all([open(), open()])")
    page.wait_for_function("document.querySelectorAll('.ganlib-widget [data-name=words]:not(:empty)').length === 2")
    page.evaluate("document.querySelectorAll('.ganlib-more').forEach((folded) => { folded.open = true; })")
    load = page.locator("button[data-name=load]")
    for left in range(load.count(), 0, -1):
        load.first.press("Enter")
        page.wait_for_function("(left) => document.querySelectorAll('button[data-name=load]').length < left", arg=left)


@pytest.mark.parametrize("kind", KINDS)
def test_two_views_follow_python_and_python_follows_them(page: Page, kernel: Any, kind: str) -> None:
    widget = getattr(widgets, kind)()
    kernel(widget)
    open_two_views(page)
    drawn = """(widget) => [...widget.querySelectorAll("svg, canvas")].every((each) => each.clientWidth > 0)
      && widget.querySelectorAll("path[d], image").length > 0"""
    for view in page.locator(".ganlib-widget").all():
        assert view.evaluate(drawn)
    trait, value, number = CHANGES[kind]
    controls, numbers = page.evaluate(CONTROLS, trait), page.evaluate(SEEN, number)
    assert len(controls) == len(numbers) == 2
    assert len(set(controls)) == len(set(numbers)) == 1
    assert page.evaluate("([trait, value]) => { model.set(trait, value); return model.get(trait); }", [trait, value])
    after = page.evaluate(SEEN, number)
    assert after[0] == after[1] != numbers[0]
    assert math.isfinite(after[0])
    moved = page.evaluate(CONTROLS, trait)
    assert moved[0] == moved[1] != controls[0]

    # What the reader of one view changes is Python's, and the other view's.
    first = page.locator(f".ganlib-widget :is(input, select)[data-name={trait}]").first
    first.press("Space" if isinstance(value, bool) else "ArrowUp")
    page.evaluate("model.sent.then(() => null)")
    moved_again = page.evaluate(CONTROLS, trait)
    assert moved_again[0] == moved_again[1] != moved[0]
    assert getattr(widget, trait) == pytest.approx(page.evaluate("(trait) => model.get(trait)", trait))
    assert getattr(widget, trait) != value


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_that_is_closed_leaves_nothing_behind(page: Page, kernel: Any, kind: str) -> None:
    kernel(getattr(widgets, kind)())
    none = page.evaluate("model.heard.length")
    open_two_views(page)
    both = page.evaluate("model.heard.length")
    assert both > none
    if play := page.locator("button[data-name=play]").all():
        for each in play:
            each.press("Enter")
        page.wait_for_function("document.querySelectorAll('[data-name=play][aria-pressed=true]').length > 0")
    page.evaluate("views[0].remove()")
    page.wait_for_function("(count) => 2 * model.heard.length === count", arg=both + none)
    trait, value, _ = CHANGES[kind]
    (before,) = page.evaluate(CONTROLS, trait)
    page.evaluate("([trait, value]) => model.set(trait, value)", [trait, value])
    assert page.evaluate(CONTROLS, trait) != [before]  # the other view lives on
    page.evaluate("views[1].remove()")
    page.wait_for_function("(count) => model.heard.length === count", arg=none)
    asked = page.evaluate("new Promise((done) => setTimeout(() => done(frames_asked), 100))")
    page.wait_for_timeout(300)
    assert page.evaluate("frames_asked") == asked  # and nothing plays on unseen
