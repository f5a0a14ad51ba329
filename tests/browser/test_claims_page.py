"""The page of claims: chosen by verdict with the keyboard, whole without JavaScript."""

from __future__ import annotations

from collections import Counter

import yaml

from . import pages

CLAIMS = yaml.safe_load((pages.ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
COUNTS = Counter(claim["verdict"] for claim in CLAIMS)


def shown(page) -> int:
    return page.locator(".claim:visible").count()


def test_a_reader_chooses_verdicts_with_the_keyboard(page, site):
    page.goto(f"{site}book/claims.html")
    pages.typeset(page)
    assert shown(page) == len(CLAIMS)
    not_run, opinion = (page.get_by_role("checkbox", name=name) for name in ("Not run", "Opinion"))
    not_run.focus()
    page.keyboard.press("Space")
    assert shown(page) == COUNTS["not run"]
    assert page.locator("[role=status]").inner_text() == f"{COUNTS['not run']} of {len(CLAIMS)} claims are shown."
    assert page.locator("section.claims-of:visible").count() < page.locator("section.claims-of").count()
    opinion.check()
    assert shown(page) == COUNTS["not run"] + COUNTS["opinion"]

    # A link to what is hidden shows it.
    page.evaluate("location.hash = '#claim-equation-1'")
    page.wait_for_function("() => !document.querySelector('#claim-equation-1').hidden")
    assert shown(page) == len(CLAIMS)
    assert not not_run.is_checked()


def test_without_javascript_everything_is_shown(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}book/claims.html")
    assert shown(page) == len(CLAIMS)
    assert page.get_by_role("checkbox").count() == 0
    page.locator("#claim-equation-1 summary").click()
    assert page.locator("#claim-equation-1 dl").is_visible()
    context.close()
