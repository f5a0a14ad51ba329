"""The map of the first page remembers what was read, in the reader's browser only."""

from __future__ import annotations

import yaml

from . import pages

STATUS = ".progress-status"


def test_a_chapter_read_to_its_end_is_ticked_until_one_starts_again(page, site):
    page.goto(f"{site}book/index.html")
    pages.typeset(page)
    assert page.locator(".progress-mark").count() == 0
    assert page.locator(".progress-forget").is_hidden()
    page.goto(f"{site}book/convergence.html")  # its top alone is not yet its end
    pages.typeset(page)
    page.goto(f"{site}book/index.html")
    assert page.locator(".progress-mark").count() == 0
    page.goto(f"{site}book/convergence.html")
    pages.typeset(page)
    page.locator("#what-to-remember > h2").scroll_into_view_if_needed()
    page.wait_for_function("() => localStorage.getItem('ganlib-read') === '[\"convergence\"]'")
    page.goto(f"{site}book/index.html")
    row = page.locator("table.progress-map tbody tr", has=page.locator('a[href$="convergence.html"]'))
    assert "✓ read" in row.inner_text()
    assert page.locator(".progress-mark").count() == 1
    [chapters] = [
        part["chapters"]
        for part in yaml.safe_load((pages.ROOT / "_toc.yml").read_text())["parts"]
        if part["caption"] == "The walk"
    ]
    assert page.inner_text(STATUS).startswith(f"You have read 1 of {len(chapters)} chapters")
    page.click(".progress-forget")
    assert page.locator(".progress-mark").count() == 0
    assert page.evaluate("localStorage.getItem('ganlib-read')") == "[]"


def test_foreign_content_in_the_storage_is_no_error(page, site):
    page.goto(f"{site}book/index.html")
    page.evaluate("localStorage.setItem('ganlib-read', '{not json')")
    page.reload()
    assert page.inner_text(STATUS).startswith("Chapters you have read")
