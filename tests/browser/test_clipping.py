"""Nothing wide is cut off: on a desktop screen code, tables and equations fit, on a phone what does not fit scrolls."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from .pages import ROOT, View, Visit, new_context

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LINE = 88  # characters of a line of code
# Everything wide with the box it may scroll in: how far it reaches, and whether the box is seen to go on.
WIDE = """async () => {
  const kinds = {
    code: [".cell_input pre, .highlight pre", (e) => e],
    table: ["table", (e) => e.closest(".pst-scrollable-table-container, .output")],
    equation: ["mjx-container[display='true']", (e) => e],
  };
  const folded = [...document.querySelectorAll(".bd-article details:not([open])")];
  for (const each of folded) each.open = true;
  // reading.js looks again at what is opened.
  await new Promise((done) => setTimeout(done, 300));
  const found = [];
  for (const [kind, [wanted, boxOf]] of Object.entries(kinds)) {
    for (const node of document.querySelectorAll(`.bd-article :is(${wanted})`)) {
      if (!node.checkVisibility() || !node.clientWidth || node.closest(".ganlib-widget, .sig")) continue;
      const box = boxOf(node) ?? node.parentElement;
      const rest = box.scrollWidth - box.clientWidth;
      if (rest <= 1) continue;
      const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
      const shown = box.matches(".more-left, .more-right");
      const lines = (node.innerText || node.textContent).split("\\n");
      const longest = Math.max(...lines.map((each) => each.length));
      const printed = Boolean(node.closest(".cell_output"));
      const text = node.textContent.trim().slice(0, 40);
      found.push({ kind, rest, longest, printed, scrolls: scrolls && shown, text });
    }
  }
  for (const each of folded) each.open = false;
  return found;
}"""
COLUMN = """(length) => {
  const pre = document.createElement("pre");
  const line = document.createElement("span");
  line.textContent = "x".repeat(length);
  pre.append(line);
  // In a cell, which is in a box, which is in the text: the narrowest place for code.
  const [cell, box] = ["cell docutils container", "admonition dropdown"].map((name) => {
    return Object.assign(document.createElement("div"), { className: name });
  });
  box.append(cell);
  cell.append(pre);
  document.querySelector(".bd-article section").append(box);
  const room = pre.clientWidth - 2 * parseFloat(getComputedStyle(pre).paddingLeft);
  const width = line.getBoundingClientRect().width;
  box.remove();
  return [width, room];
}"""
CODE = re.compile(r"^```(?:\{code-cell\}[^\n]*|python|console)\n(.*?)^```$", re.M | re.S)
API = ("book/api", "book/api-lab")  # signatures and listings of source code have longer lines
LISTINGS = ("_modules", "genindex", "search", "prf-")


def is_chapter(name: str) -> bool:
    return name not in API and not name.startswith(LISTINGS)


def test_on_a_desktop_screen_nothing_wide_is_cut_off(visit: Visit) -> None:
    if visit.view.screen != "desktop" or not is_chapter(visit.name):
        pytest.skip("a chapter on a desktop screen is looked at")
    # What a program prints may be longer than a line of code: it scrolls, and shows that it goes on.
    found = visit.page.evaluate(WIDE)
    assert [each for each in found if not (each["scrolls"] and each["printed"] and each["longest"] > LINE)] == []


def test_on_a_phone_what_does_not_fit_scrolls_and_shows_it(visit: Visit) -> None:
    if visit.view.screen != "phone":
        pytest.skip("a phone is looked at")
    assert [each for each in visit.page.evaluate(WIDE) if not each["scrolls"]] == []


def test_a_line_of_code_fits_its_column(browser: Browser, site: str) -> None:
    context, record = new_context(browser, View("light", "desktop"))
    with contextlib.closing(context):
        page = context.new_page()
        page.goto(f"{site}book/value-function.html")
        width, room = page.evaluate(COLUMN, LINE)
        assert width <= room
        record.assert_clean()


def test_no_line_of_code_is_longer() -> None:
    found = []
    for path in sorted((ROOT / "book").glob("*.md")):
        for cell in CODE.findall(path.read_text()):
            code = re.sub(r"\A---\n.*?\n---\n", "", cell, flags=re.S)
            lines = [line for line in code.splitlines() if not line.startswith(":")]
            found += [f"{path.name}: {line}" for line in lines if len(line) > LINE]
    assert found == []
