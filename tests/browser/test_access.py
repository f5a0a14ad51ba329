"""axe-core finds no violation of any severity on any page, in the themes and on the screens it is tested in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pages import View, Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

# axe's own choice (WCAG to level AA and best practices, of every severity) and the one AA rule it leaves out.
RUN = """() => {
  globalThis.axeReport ??= axe.run(document, {
    resultTypes: ["violations"],
    preload: false,
    rules: { "target-size": { enabled: true } },
  });
}"""
VIOLATIONS = """async () => (await globalThis.axeReport).violations.flatMap(violation => violation.nodes.map(node =>
  `${violation.id} (${node.impact ?? violation.impact}) at ${node.target.flat().join(" > ")}: ${violation.help}`))"""


def start(page: Page, axe: str) -> None:
    """Let axe examine a page; it goes on while other pages are looked at."""
    if not page.evaluate("() => Boolean(globalThis.axe)"):
        page.evaluate(axe)
    page.evaluate(RUN)


def violations(page: Page, axe: str) -> list[str]:
    """One line for each element that breaks a rule: the rule, its severity, the element, what the rule asks."""
    start(page, axe)
    return page.evaluate(VIOLATIONS)


def test_axe_finds_nothing(opened: dict[View, Visit], visit: Visit, axe: str) -> None:
    for each in opened.values():
        start(each.page, axe)
    found = violations(visit.page, axe)
    assert found == [], "\n" + "\n".join(found)
