"""What a reader does with the book: opens it from disk, searches, switches the theme, copies code, uses the keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .pages import VIEWS, View, new_context, typeset
from .test_pages import UNTYPESET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHAPTER = "book/optimal-discriminator.html"

# The element that has the focus: where it is, what it is called, and whether its focus can be seen.
FOCUSED = """async () => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  // A link may take a moment to slide in.
  const transitions = document.getAnimations().filter(a => a instanceof CSSTransition);
  await Promise.allSettled(transitions.map(a => a.finished));
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const seen = box.width > 0 && box.height > 0 && box.right > 0 && box.left < innerWidth
    && box.bottom > 0 && box.top < innerHeight;
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const places = { skip: ".skip-link", search: ".search-button__button", menu: ".primary-toggle", navigation: "nav",
    article: "main article" };
  return {
    name: `${e.tagName.toLowerCase()} ${e.getAttribute("aria-label") ?? e.textContent.trim().slice(0, 40)}`,
    places: Object.keys(places).filter(key => e.closest(places[key])),
    visible: seen && (outlined || style.boxShadow !== "none"),
  };
}"""


@pytest.fixture(params=["served", "from disk"])
def root(request: pytest.FixtureRequest, html: Path) -> str:
    """The address of the book, ending with a slash: on a server, and as files."""
    return request.getfixturevalue("site") if request.param == "served" else html.as_uri() + "/"


@contextlib.contextmanager
def open_page(browser: Browser, view: View, address: str, **options: Any) -> Iterator[Page]:
    """A page of the book, typeset; whatever goes wrong on it until the end fails the test."""
    context, record = new_context(browser, view, **options)
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(address, wait_until="load")
        typeset(page)
        yield page
        record.assert_clean()


def test_the_front_door_leads_to_the_first_page(browser: Browser, root: str) -> None:
    with open_page(browser, View("light", "desktop"), f"{root}book/index.html") as page:
        page.goto(f"{root}index.html")
        page.wait_for_url(f"{root}book/index.html", wait_until="load")


@pytest.mark.parametrize("view", VIEWS[::3], ids=str)
def test_a_chapter_reads_from_disk_as_from_a_server(browser: Browser, root: str, view: View) -> None:
    with open_page(browser, view, root + CHAPTER) as page:
        assert page.locator("mjx-container").count() > 100
        assert page.evaluate(UNTYPESET) == []


@pytest.mark.parametrize("view", VIEWS[::3], ids=str)
def test_search_finds_a_word(browser: Browser, root: str, view: View) -> None:
    with open_page(browser, view, root + CHAPTER) as page:
        page.locator(".search-button__button:visible").first.click()
        field = page.locator("input[type=search]:visible")
        field.fill("Jensen")
        field.press("Enter")
        page.wait_for_url("**/search.html?*")
        # Sphinx lists what it found one page after another.
        page.locator("#search-results li a[href*='global-optimum']").first.wait_for()


def test_search_says_when_nothing_is_found(browser: Browser, root: str) -> None:
    with open_page(browser, View("light", "desktop"), f"{root}search.html?q=zzyzxqq") as page:
        page.locator("#search-results", has_text="did not match any documents").wait_for()
        assert page.locator("#search-results li a").count() == 0


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_theme_can_be_switched_and_stays(browser: Browser, site: str, view: View) -> None:
    with open_page(browser, view, site + CHAPTER) as page:
        theme = "() => document.documentElement.dataset.theme"
        shown = lambda: page.evaluate("() => getComputedStyle(document.body).backgroundColor")  # noqa: E731
        before, seen = shown(), set()
        for _ in range(3):  # light, dark, and as the system prefers
            page.locator(".theme-switch-button:visible").first.click()
            seen.add(page.evaluate(theme))
            if page.evaluate(theme) != view.theme:
                assert shown() != before
                page.reload()
                assert page.evaluate(theme) != view.theme
                assert shown() != before
        assert seen == {"light", "dark"}


def test_the_copy_button_copies_the_code(browser: Browser, site: str) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with open_page(browser, View("light", "desktop"), site + CHAPTER, permissions=permissions) as page:
        cell = page.locator("div.highlight:has(button.copybtn):visible").first
        cell.hover()
        cell.locator("button.copybtn").click()
        copied = page.evaluate("() => navigator.clipboard.readText()")
        assert copied.strip() == cell.locator("pre").inner_text().strip() != ""


def walk(page: Page, steps: int) -> list[dict[str, Any]]:
    """What gets the focus as Tab is pressed ``steps`` times, or until the focus leaves the page."""
    found = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        found.append(focused)
    return found


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_the_keyboard_reaches_everything_in_order_and_visibly(browser: Browser, site: str, view: View) -> None:
    with open_page(browser, view, site + CHAPTER, reduced_motion="reduce") as page:
        focused = walk(page, 120)
        places = list(dict.fromkeys(place for each in focused for place in each["places"]))
        assert focused[0]["places"] == ["skip"]
        # A phone has the navigation behind a button.
        navigation = "menu" if view.screen == "phone" else "navigation"
        assert {"search", navigation, "article"} <= set(places)
        assert max(places.index("search"), places.index(navigation)) < places.index("article")
        assert [each["name"] for each in focused if not each["visible"]] == []


@pytest.mark.parametrize("view", VIEWS[::2], ids=str)
def test_the_keyboard_opens_and_leaves_the_menu_of_a_phone(browser: Browser, site: str, view: View) -> None:
    with open_page(browser, view, site + CHAPTER, reduced_motion="reduce") as page:
        page.locator(".primary-toggle").focus()
        page.keyboard.press("Enter")
        focused = walk(page, 8)
        assert sum("navigation" in each["places"] for each in focused) >= 5
        assert [each["name"] for each in focused if not each["visible"]] == []
        page.keyboard.press("Escape")
        focused = walk(page, 8)
        assert not any("navigation" in each["places"] for each in focused)


def test_the_skip_link_skips(browser: Browser, site: str) -> None:
    with open_page(browser, View("light", "desktop"), site + CHAPTER) as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("() => Boolean(document.activeElement.closest('main'))")
