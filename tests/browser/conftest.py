"""The browser, the served book, and pages that notice errors and outside requests.

A test of a page of its own asks for `page`; a test of every page of the book, in every view, asks for `visit`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import pages
from .pages import VIEWS, View, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HTML, UNTESTABLE = pages.built()


def names_of(html: Path) -> list[str]:
    """Every page; of the listings of source code, alike but for the code, the shortest and the longest."""
    names = pages.page_names(html)
    listings = sorted(
        (n for n in names if n.startswith("_modules/ganlib")), key=lambda n: (html / f"{n}.html").stat().st_size
    )
    return [name for name in names if name not in listings[1:-1]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `visit` every page in every view; page by page, so that each is loaded once a view."""
    if "visit" not in metafunc.fixturenames:
        return
    if UNTESTABLE:
        metafunc.parametrize("opened, view", [("none", None)], indirect=["opened"], ids=["no book"])
        return
    pairs = [(name, view) for name in names_of(HTML) for view in VIEWS]
    ids = [f"{name}-{view}" for name, view in pairs]
    metafunc.parametrize("opened, view", pairs, indirect=["opened"], ids=ids, scope="package")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a page next to each other; pytest's own grouping now and then leaves a page and comes back."""
    slots = [i for i, item in enumerate(items) if "visit" in getattr(item, "fixturenames", ())]
    ordered = sorted((items[i] for i in slots), key=lambda item: item.callspec.params["opened"])
    for slot, item in zip(slots, ordered, strict=True):
        items[slot] = item


@pytest.fixture(scope="package")
def html() -> Path:
    """The folder of the built book."""
    if UNTESTABLE:
        pytest.skip(UNTESTABLE)
    return HTML


@pytest.fixture(scope="package")
def site(html: Path) -> Iterator[str]:
    """The address at which the built book is served."""
    with pages.serve(html) as address:
        yield address


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A headless Chromium that reaches nothing outside this machine."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with api.sync_playwright() as playwright:
        path = pages.find_chromium(playwright)
        if path is None:
            pytest.skip("there is no Chromium: run make browser, or set GANLIB_CHROMIUM to the path of one")
        browser = playwright.chromium.launch(executable_path=path, args=list(pages.ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A blank page on a light desktop screen; the test fails if it logs an error or asks for anything outside."""
    context, record = pages.new_context(browser, View("light", "desktop"))
    with contextlib.closing(context):
        yield context.new_page()
        record.assert_clean()


@pytest.fixture(scope="package")
def opened(request: pytest.FixtureRequest, site: str, browser: Browser) -> Iterator[dict[View, Visit]]:
    """A page of the book open in all views at once: they load side by side."""
    with contextlib.ExitStack() as stack:
        visits = {}
        for view in VIEWS:
            context, record = pages.new_context(browser, view)
            stack.callback(context.close)
            visits[view] = Visit(request.param, view, context.new_page(), record)
        for visit in visits.values():
            visit.page.goto(f"{site}{visit.name}.html", wait_until="commit")
        for visit in visits.values():
            visit.page.wait_for_load_state("load")
            pages.typeset(visit.page)
        yield visits


@pytest.fixture
def visit(opened: dict[View, Visit], view: View) -> Visit:
    """A page of the book in one view."""
    return opened[view]


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, from npm."""
    import npm

    try:
        return (npm.packages() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    except npm.Unexpected:
        raise
    except npm.Unavailable as reason:
        pytest.skip(f"axe-core could not be had: {reason}")
