"""The browser tests' own tools: that they see what they are there to see, and skip only for a reason."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from . import pages, test_access, test_pages
from .pages import View


@pytest.fixture
def loaded(browser, tmp_path):
    """A function that loads a body as a page on a phone; returns the page and the record of what happened."""
    context, record = pages.new_context(browser, View("light", "phone"))

    def load(body, head=""):
        viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
        html = f'<!doctype html><html lang="en"><head><title>t</title>{viewport}{head}</head><body>{body}</body></html>'
        (tmp_path / "index.html").write_text(html)
        page = context.new_page()
        page.goto((tmp_path / "index.html").as_uri(), wait_until="load")
        return page, record

    yield load
    context.close()


@pytest.mark.parametrize(
    "address", ["http://192.0.2.1/x.png", "https://example.org/x.png", "http://[2001:db8::1]/x.png"]
)
def test_outside_requests_are_blocked_and_recorded(loaded, address):
    _, record = loaded(f'<img src="{address}" alt="x">')
    assert record.outside == [address]
    assert any("failed request" in problem and "NAME_NOT_RESOLVED" in problem for problem in record.problems)
    with pytest.raises(AssertionError, match="another site"):
        record.assert_clean()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>console.error('an error')</script>", "error: an error"),
        ("<script>console.warn('a warning')</script>", "warning: a warning"),
        ("<script>throw new Error('thrown')</script>", "uncaught: thrown"),
        ("<script>Promise.reject(new Error('refused'))</script>", "uncaught: refused"),
        ("<img src='absent.png' alt='x'>", "failed request"),
    ],
)
def test_problems_are_recorded(loaded, body, problem):
    page, record = loaded(body)
    page.evaluate("() => null")
    assert any(problem in entry for entry in record.problems)
    assert record.outside == []


def test_a_missing_page_is_a_problem(browser, tmp_path):
    context, record = pages.new_context(browser, View("dark", "desktop"))
    with pages.serve(tmp_path) as address:
        context.new_page().goto(f"{address}absent.html")
    context.close()
    assert f"HTTP 404: {address}absent.html" in record.problems


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (
            test_pages.UNTYPESET,
            "<p class='math'><mjx-container>x</mjx-container></p><pre>\\(x\\)</pre>",
            "<p>so \\(x\\)</p>",
        ),
        (test_pages.UNTYPESET, "<main><pre>\\(x\\)</pre></main>", "<span class='math'>x</span>"),
        (test_pages.UNTYPESET, "<p>x</p>", "<mjx-container><mjx-merror>x</mjx-merror></mjx-container>"),
        (
            test_pages.CLIPPED,
            "<main><div style='overflow-x: auto'><table style='width: 900px'><tr><td>x</table></div></main>",
            "<main><div style='overflow-x: hidden'><table style='width: 900px'><tr><td>x</table></div></main>",
        ),
        (
            test_pages.CLIPPED,
            "<main><pre style='width: 99%'>x</pre></main>",
            "<main><div style='overflow: clip; width: 50px'>"
            "<mjx-container display='true'><mjx-math style='display: block; width: 80px'>x</mjx-math></mjx-container>"
            "</div></main>",
        ),
        (test_pages.BROKEN_IMAGES, "<p>x</p>", "<img alt='x' src='absent.png'>"),
    ],
)
def test_the_checks_of_a_page_can_fail(loaded, check, good, bad):
    assert loaded(good)[0].evaluate(check) == []
    assert len(loaded(bad)[0].evaluate(check)) == 1


def test_a_widget_that_is_not_drawn_is_missed(loaded):
    view = '<div><script type="application/vnd.jupyter.widget-view+json">{}</script></div>'
    good, _ = loaded(view + '<div class="ganlib-widget"><canvas></canvas></div>')
    assert good.evaluate(test_pages.MISSING_WIDGETS) == "1 drawn of 1, 1 made"
    empty, _ = loaded(view + '<div class="ganlib-widget"><canvas width="0" height="0"></canvas></div>')
    assert empty.evaluate(test_pages.MISSING_WIDGETS.replace("round < 100", "round < 3")) == "0 drawn of 1, 1 made"


def test_axe_finds_what_is_wrong_whatever_its_severity(loaded, axe):
    page, _ = loaded("<main><h1>x</h1><h3>y</h3><img src='data:,'><table><tr><th></th></tr></table></main>")
    found = test_access.violations(page, axe)
    assert any(line.startswith("image-alt (critical) at img") for line in found)
    assert any(line.startswith("heading-order (moderate)") for line in found)
    assert any(line.startswith("empty-table-header (minor)") for line in found)
    page, _ = loaded("<main><h1>x</h1><p>y</p></main>")
    assert test_access.violations(page, axe) == []


@pytest.fixture
def book(tmp_path):
    """A tiny book that looks built, in a folder of its own; returns the folder."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_build" / "html" / "book").mkdir(parents=True)
    (tmp_path / "_toc.yml").write_text("root: book/index\nparts: []\n")
    (tmp_path / "_config.yml").write_text("title: x\n")
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "book" / "index.md").write_text("# x\n")
    (tmp_path / "_build" / "html" / "book" / "index.html").write_text("<title>x</title>")
    (tmp_path / "_build" / "keys.json").write_text(json.dumps(pages.book_build().keys(tmp_path)))
    return tmp_path


def test_a_current_book_is_tested(book):
    assert pages.stale(book) is None


def test_a_book_that_is_not_current_is_said_to_be_so(book):
    later = time.time() + 60
    os.utime(book / "book" / "index.md", (later, later))
    assert pages.stale(book) == "the built book is older than book/index.md: run make book"
    (book / "_config.yml").write_text("title: y\n")
    assert "older than what it is made from" in pages.stale(book)
    (book / "_build" / "keys.json").unlink()
    assert pages.stale(book) == "the book is not built: run make book"


def test_a_build_that_failed_is_said_to_have(book):
    (book / "_build" / "html" / "book" / "index.html").unlink()
    assert "the last build of the book failed (it did not write book/index)" in pages.stale(book)
    (book / "_build" / "html" / "book" / "index.html").write_text("<title>x</title>")
    (book / "_build" / "failed").write_text("a cell raised in book/index: ValueError: x")
    assert "the last build of the book failed (a cell raised in book/index: ValueError: x)" in pages.stale(book)


class Playwright:
    """What find_chromium asks of the real one."""

    def __init__(self, own: Path) -> None:
        self.chromium = self
        self.executable_path = str(own)


def test_the_browser_is_looked_for_in_order(tmp_path, monkeypatch):
    programs = {name: tmp_path / name for name in ("mine", "chromium", "chromium-browser", "google-chrome", "own")}
    for program in programs.values():
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GANLIB_CHROMIUM", str(programs["mine"]))
    playwright = Playwright(programs["own"])
    found = [pages.find_chromium(playwright)]
    monkeypatch.delenv("GANLIB_CHROMIUM")
    for name in ("chromium", "chromium-browser", "google-chrome", "own"):
        found.append(pages.find_chromium(playwright))
        programs[name].unlink()
    assert found == [str(path) for path in programs.values()]
    assert pages.find_chromium(playwright) is None
    monkeypatch.setenv("GANLIB_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(ValueError, match="GANLIB_CHROMIUM=/nowhere/chromium cannot be run: name the path"):
        pages.find_chromium(playwright)


def test_another_folder_can_be_tested(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLIB_TEST_HTML", str(tmp_path))
    with pytest.raises(ValueError, match=r"has no index\.html: name the folder of a built book"):
        pages.built()
    (tmp_path / "index.html").touch()
    assert pages.built() == (tmp_path, None)
