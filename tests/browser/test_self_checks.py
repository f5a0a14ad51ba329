"""Typed answers are judged in the page: right, not yet, unreadable; by keyboard, and without scripts not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sphinx_pages

from .pages import VIEWS, View, new_context, serve
from .test_access import violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STATIC = Path(__file__).resolve().parents[2] / "book" / "static"
CONF = f"""\
extensions = ["myst_nb", "sphinx_book_theme", "self_checks", "page"]
html_theme = "sphinx_book_theme"
html_static_path = [{str(STATIC)!r}]
html_css_files = ["ganlib.css"]
html_favicon = {str(STATIC / "favicon.png")!r}
mathjax_path = "progress.js"  # any script of ours: formulas may stay TeX here
exclude_patterns = ["_build"]
nb_execution_mode = "off"
"""
BOOK = """\
# Page

```{self-check} sc-hinted
:answer: -log(4)
:tolerance: 0.01
:hint: Twice the logarithm of one half.
What is the least value of C?
```

```{self-check} sc-plain
:answer: 10000
:tolerance: 0
How many samples?
```
"""


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page with two self-checks."""
    folder = tmp_path_factory.mktemp("checks")
    (folder / "index.md").write_text(BOOK)
    pages, warnings = sphinx_pages.build(folder, CONF)
    assert warnings == ""
    with serve(pages) as address:
        yield f"{address}index.html"


def verdict(page: Page, name: str, typed: str) -> str:
    """What is said of a typed answer."""
    page.get_by_role("group").locator(f"#{name}-typed").fill(typed)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == f"{name}-typed"
    return page.inner_text(f"#{name}-status")


RIGHT = ["-1.386", "\u22121,39", "- 1.38", "−1.386294361", "-1386e-3", "-139/100", "-139 / 100", "-,139e1", "139/-100"]


def test_right_in_every_spelling(page: Page, checks: str) -> None:
    page.goto(checks)
    for typed in RIGHT:
        assert verdict(page, "sc-hinted", typed) == "Right.", typed
        page.keyboard.press("Backspace")
        assert page.inner_text("#sc-hinted-status") == ""  # of what is no longer there nothing is said
    assert verdict(page, "sc-hinted", RIGHT[0]) == "Right."
    assert page.get_attribute("#sc-hinted-typed", "aria-invalid") == "false"
    assert page.get_attribute("#sc-hinted .self-check-answer", "open") is not None


def test_unreadable_is_said_and_is_no_try(page: Page, checks: str) -> None:
    page.goto(checks)
    for typed in ("", "four", "-log(4)", "1/0", "1/2/3", "--1", "1.2.3", "1 2", "NaN", "Infinity", "0x1"):
        assert verdict(page, "sc-hinted", typed).startswith("This is no number that can be read here."), typed
    assert page.locator("#sc-hinted details[open]").count() == 0


def test_the_first_wrong_try_shows_the_hint_the_second_the_answer(page: Page, checks: str) -> None:
    page.goto(checks)
    assert page.locator("details[open]").count() == 0
    assert verdict(page, "sc-hinted", "1.386") == "Not yet. A hint is below."
    assert page.get_by_text("Twice the logarithm").is_visible()
    assert page.get_attribute("#sc-hinted .self-check-answer", "open") is None
    assert verdict(page, "sc-hinted", "-1.4") == "Not yet. The answer is below."
    assert page.get_attribute("#sc-hinted .self-check-answer", "open") is not None
    assert verdict(page, "sc-hinted", "-1.39") == "Right."
    assert verdict(page, "sc-plain", "1000") == "Not yet. Try again."


def test_a_comma_may_group_thousands(page: Page, checks: str) -> None:
    page.goto(checks)
    for typed in ("10000", "10,000", "1e4", "+10000.0"):
        assert verdict(page, "sc-plain", typed) == "Right.", typed


def test_by_mouse_and_on_request(page: Page, checks: str) -> None:
    page.goto(checks)
    page.get_by_label("Your number").first.fill("-1.39")
    page.get_by_role("button", name="Check").first.click()
    assert page.get_by_role("status").first.inner_text() == "Right."
    page.locator("#sc-plain summary").click()
    assert page.get_by_text("10000").is_visible()


def test_without_scripts_the_answer_is_folded(browser: Browser, checks: str) -> None:
    context, record = new_context(browser, View("light", "phone"), java_script_enabled=False)
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(checks)
        assert page.locator("#sc-hinted input").is_hidden()
        page.locator("#sc-hinted .self-check-answer summary").click()
        assert page.locator("#sc-hinted .self-check-answer .math").is_visible()
        record.assert_clean()


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_axe_finds_nothing(browser: Browser, checks: str, axe: str, view: View) -> None:
    context, _ = new_context(browser, view)
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(checks)
        for typed in ("1", "2", "-1.39", "x"):
            verdict(page, "sc-hinted", typed)
            found = [line for line in violations(page, axe) if "self-check" in line or "sc-" in line]
            page.evaluate("() => delete globalThis.axeReport")
            assert found == [], "\n" + "\n".join(found)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= view.size["width"]
