"""Where a browser runs no scripts, a page says what it therefore does not show, and is read all the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .pages import VIEWS, View, new_context, table_of_contents

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

# Whether a reader sees source of TeX outside of code.
SHOWS_TEX = r"""() => {
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    if (/\\\(|\\\[/.test(data) && !parentElement.closest("pre, code, script, style")) return true;
  }
  return false;
}"""
WIDGETS = """() => document.querySelectorAll('script[type$="widget-view+json"]').length"""


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    # The theme is light: a script would choose the other.
    context, record = new_context(browser, View("light", "phone"), java_script_enabled=False)
    yield context
    context.close()
    record.assert_clean()


@pytest.mark.parametrize("name", table_of_contents())
def test_a_page_says_what_it_lacks(context: BrowserContext, site: str, name: str) -> None:
    page = context.new_page()
    try:
        page.goto(f"{site}{name}.html")
        notes = page.locator(".bd-article noscript > *").all()
        assert all(note.is_visible() for note in notes)
        said = [note.inner_text() for note in notes]
        formulas = [text for text in said if text.startswith("Formulas on this page are shown as TeX source")]
        assert formulas == said[: page.evaluate(SHOWS_TEX)]
        widgets = [text for text in said if text.startswith("This widget computes in your browser")]
        assert len(widgets) == page.evaluate(WIDGETS)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= page.viewport_size["width"]
    finally:
        page.close()


@pytest.mark.parametrize("view", VIEWS[::3], ids=str)
def test_the_note_can_be_read_in_both_themes(browser: Browser, site: str, axe: str, view: View) -> None:
    context, record = new_context(browser, view)
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(f"{site}book/notation.html")
        # axe is a script itself: it is shown what a page without scripts would show.
        page.evaluate("() => document.querySelectorAll('main noscript').forEach(e => { e.outerHTML = e.textContent; })")
        page.evaluate(axe)
        found = page.evaluate("() => axe.run('.no-script')")
        assert found["violations"] == []
        assert "color-contrast" in [rule["id"] for rule in found["passes"]]
        record.assert_clean()
