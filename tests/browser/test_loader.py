"""The loader of pages without a kernel gives a widget what the anywidget specification promises it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib.widgets import Widget

from . import pages
from .widget_page import LOADER, write_page

MODULE = """
export default {
  initialize({ model }) { model.set("log", [...model.get("log"), "initialize"]); },
  render({ model, el }) {
    model.set("log", [...model.get("log"), "render"]);
    const seen = (event) => (...rest) => { el.append(`${event} ${rest.length} `); };
    const once = seen("never");
    model.on("change:width", once);
    model.off("change:width", once);
    model.on("change:width change:other", seen("width"));
    model.on("change", seen("any"));
    model.on("msg:custom", (message, buffers) => {
      const bytes = buffers.length ? [...new Uint8Array(buffers[0].buffer)] : [];
      el.append(`${message.have}: ${message.error ?? bytes} `);
    });
    model.set("width", model.get("width"));
    model.set("width", 2);
    model.set({ width: 3 });
    model.save_changes();
    model.send({ other: 1 });
    for (const name of model.get("wanted")) model.send({ want: name });
    el.append(`raw ${new Uint8Array(model.get("raw").buffer).join()} log ${model.get("log").join()} `);
  },
};
"""


STYLES = "[...document.querySelectorAll('style')].filter((style) => style.textContent.includes('.trial')).length"


class Trial(Widget):
    _esm = MODULE
    _css = ".trial { color: rgb(1, 2, 3); }"
    width = traitlets.Float(1.0).tag(sync=True)
    wanted = traitlets.List(["numbers", "numbers"]).tag(sync=True)
    log = traitlets.List([]).tag(sync=True)
    raw = traitlets.Bytes(b"\x01\x00\xfe").tag(sync=True)
    assets = {"numbers": lambda: bytes(range(256))}  # noqa: RUF012


def text(page) -> str:
    page.wait_for_selector("html[data-ganlib-widgets]", state="attached")
    page.wait_for_function("() => document.querySelector('main').textContent.includes('numbers')")
    return page.inner_text("main")


@pytest.mark.parametrize("served", [True, False], ids=["served", "from disk"])
def test_a_model_has_state_events_and_assets(page, tmp_path, served):
    written = write_page(tmp_path, Trial())
    if served:
        with pages.serve(tmp_path) as address:
            page.goto(f"{address}index.html")
            found = text(page)
    else:
        page.goto(written.as_uri())
        found = text(page)
    # An equal value is no change; each change is told twice, to its own listeners and to those of any.
    assert found.count("width 2") == found.count("any 1 ") == 2
    assert "never" not in found
    assert "raw 1,0,254" in found
    assert "log initialize,render" in found
    assert found.count("numbers: " + ",".join(map(str, range(256)))) == 2


def test_a_second_view_shares_the_model_and_the_style_comes_once(page, tmp_path):
    written = write_page(tmp_path, Trial())
    html = written.read_text()
    view = html[html.index("<script type") : html.index("</main>")]
    written.write_text(html.replace("</main>", view + "</main>"))
    page.goto(written.as_uri())
    assert "log initialize,render,render" in text(page)
    assert page.evaluate(STYLES) == 1


def test_what_cannot_be_shown_says_so_where_it_would_be(browser, tmp_path):
    written = write_page(tmp_path, Trial(wanted=["absent"]))
    html = written.read_text().replace(json.dumps(MODULE)[1:-1], "export default 1 +;")
    written.write_text(html)
    context, record = pages.new_context(browser, pages.View("light", "desktop"))
    page = context.new_page()
    page.goto(written.as_uri())
    page.wait_for_selector("html[data-ganlib-widgets]", state="attached")
    assert "This widget cannot be shown: Unexpected token" in page.inner_text("main")
    assert any("SyntaxError" in problem for problem in record.problems)
    context.close()


def test_an_asset_that_is_not_there_is_an_answer_with_the_reason(browser, tmp_path):
    written = write_page(tmp_path, Trial(wanted=["absent"]))
    context, _ = pages.new_context(browser, pages.View("light", "desktop"))
    page = context.new_page()
    page.goto(written.as_uri())
    page.wait_for_function("() => document.querySelector('main').textContent.includes('absent: ')")
    assert "could not be loaded" in page.inner_text("main")
    context.close()


def test_modules_and_styles_may_be_files_of_the_site(page, tmp_path):
    written = write_page(tmp_path, Trial())
    html = written.read_text()
    for key, value, name in (("_esm", MODULE, "module"), ("_css", Trial._css, "style")):
        packed = json.dumps(str(value))
        assert f'"{key}": {packed}' in html
        html = html.replace(f'"{key}": {packed}', f'"{key}": {{"file": "{name}-1"}}')
        (tmp_path / "widgets" / f"{name}-1.js").write_text(f'ganlibFile("{name}-1", {packed});')
    written.write_text(html)
    page.goto(written.as_uri())
    assert "log initialize,render" in text(page)
    assert page.evaluate(STYLES) == 1


def test_a_state_that_cannot_be_read_is_said_at_each_widgets_place(browser, tmp_path):
    written = write_page(tmp_path, Trial(width=float("nan")))
    html = written.read_text()
    assert "NaN" in html
    view = html[html.index("<script type") : html.index("</main>")]
    written.write_text(html.replace("</main>", f"<section>{view}</section></main>"))
    context, record = pages.new_context(browser, pages.View("light", "desktop"))
    page = context.new_page()
    page.goto(written.as_uri())
    page.wait_for_selector("html[data-ganlib-widgets]", state="attached")
    assert page.inner_text("main").count("This widget cannot be shown: Unexpected token 'N'") == 2
    assert "This widget cannot be shown: Unexpected token 'N'" in page.inner_text("section")
    assert any("SyntaxError" in problem for problem in record.problems)
    context.close()


def test_an_asset_may_be_a_file_of_another_name(page, tmp_path):
    written = write_page(tmp_path, Trial())
    folder = tmp_path / "widgets"
    packed = (folder / "numbers.js").read_text()
    (folder / "numbers.js").unlink()
    (folder / "numbers-1a2b.js").write_text(packed.replace('"numbers"', '"numbers-1a2b"'))
    html = written.read_text()
    assert html.count('"width": 1.0') == 1
    written.write_text(html.replace('"width": 1.0', '"_files": {"numbers": "numbers-1a2b"}, "width": 1.0'))
    page.goto(written.as_uri())
    assert text(page).count("numbers: " + ",".join(map(str, range(256)))) == 2


def test_markup_in_a_setting_stays_text(page, tmp_path):
    mark = "<!--<script></script>"
    page.goto(write_page(tmp_path, Trial(log=[mark])).as_uri())
    assert f"log {mark},initialize,render" in text(page)


def test_a_page_without_widgets_is_left_alone(page, tmp_path):
    (tmp_path / "widgets.js").write_text(LOADER.read_text())
    (tmp_path / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><p>text</p><script src="widgets.js"></script>'
    )
    page.goto((tmp_path / "index.html").as_uri())
    assert page.inner_text("body") == "text"
    assert page.evaluate("document.documentElement.dataset.ganlibWidgets") is None
