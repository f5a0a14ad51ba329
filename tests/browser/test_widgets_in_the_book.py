"""The widgets of the built pages: each answers the keyboard, with ganlib's numbers, and is still until it is asked.

The tests beside this one drive pages with one widget each, made for them. Here are the files a reader gets.
"""

from __future__ import annotations

import contextlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

from ganlib import theory, toys, widgets
from ganlib.metrics.modes import count_modes

from . import pages, test_widget_dirac_gan, test_widget_latent_explorer, test_widget_parzen_explorer
from . import test_widget_optimal_discriminator as optimal_discriminator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HTML, UNTESTABLE = pages.built()
SCRIPT = r'<script type="application/vnd.jupyter.widget-%s\+json">(.*?)</script>'
# What a reader moves: the name of the control, the key pressed on it, and the setting that follows, if one does.
MOVES = {
    "DiracGan": ("input[data-name=theta]", "ArrowRight", "theta"),
    "Figure1Live": ("button[data-name=iteration]", "Enter", None),
    "LatentExplorer": ("input[data-name=s]", "ArrowRight", "s"),
    "OptimalDiscriminator": ("input[data-name=level]", "ArrowRight", "level"),  # moves V even on disjoint supports
    "ParzenExplorer": ("input[data-name=sigma]", "ArrowRight", "sigma"),
    "Playground": ("button[data-name=step]", "Enter", None),
}
NUMBERS = """(widget) => Object.fromEntries([...widget.querySelectorAll("dd[data-value]")]
  .map((node) => [node.dataset.name, node.dataset.value]))"""
OTHER_WORDS = """([widget, before]) => {
  const words = widget.querySelector("[data-name=words]").textContent;
  return words && words !== before;
}"""
# What moves by itself is an attribute, a text, or the pixels of a canvas.
PIXELS = """(widget) => [...widget.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()).join()"""
WATCH = """(widget) => {
  globalThis.moved = 0;
  globalThis.ganlibWatch?.disconnect();
  globalThis.ganlibWatch = new MutationObserver((seen) => { globalThis.moved += seen.length; });
  globalThis.ganlibWatch.observe(widget, { attributes: true, childList: true, characterData: true, subtree: true });
}"""
TOO_WIDE = """(widget) => {
  const [bad, width] = [[], document.documentElement.clientWidth];
  for (const node of [widget, ...widget.querySelectorAll("*")]) {
    const { left, right } = node.getBoundingClientRect();
    const name = node.dataset.name ?? node.getAttribute("class") ?? node.tagName;
    if (!node.closest("svg svg, svg > *") && (right > width + 0.5 || left < -0.5)) {
      bad.push(`${name} reaches from ${left} to ${right} of ${width}`);
    }
  }
  if (widget.scrollWidth > widget.clientWidth) bad.push(`it can be scrolled over ${widget.scrollWidth} pixels`);
  return bad;
}"""


@cache
def shown(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The widgets of a page in their order: each one's class, and its settings as the chapter made them."""
    text = (HTML / f"{name}.html").read_text(encoding="utf-8")
    views = [json.loads(view) for view in re.findall(SCRIPT % "view", text, re.S)]
    (state,) = [json.loads(each)["state"] for each in re.findall(SCRIPT % "state", text, re.S)] or [{}]
    found = [state[view["model_id"]]["state"] for view in views]
    return [(each["_anywidget_id"].rpartition(".")[2], each) for each in found]


PAGES = [] if UNTESTABLE else [name for name in pages.page_names(HTML) if shown(name)]


def places() -> list[Any]:
    """Each widget of each page, served; those that load something also from the disk."""
    found = []
    for name in PAGES:
        for index, (kind, _) in enumerate(shown(name)):
            found.append(pytest.param(name, index, True, id=f"{name}-{kind}-served"))
            if getattr(widgets, kind).assets:
                found.append(pytest.param(name, index, False, id=f"{name}-{kind}-from disk"))
    return found or [pytest.param("none", 0, True, id="no book")]


def open_page(page: Page, name: str, site: str | None) -> list[Locator]:
    """The widgets of a page, drawn; without a ``site`` it is opened from the disk."""
    page.goto(f"{site}{name}.html" if site else (HTML / f"{name}.html").as_uri())
    page.wait_for_selector("html[data-ganlib-widgets]", state="attached")
    found = page.locator(".ganlib-widget").all()
    assert len(found) == len(shown(name))
    return found


def tab_to(page: Page, widget: Locator, control: str) -> None:
    """Reach a control as a reader without a mouse does: from the widget's first one, by the tab key."""
    widget.locator("button, input, select, [tabindex='0']").first.focus()
    wanted = widget.locator(control).element_handle()
    for _ in range(80):
        if wanted.evaluate("(node) => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{control} is not reached by the tab key")


def load(page: Page, widget: Locator) -> None:
    """Where a widget loads something when asked, ask for it and wait until it is drawn."""
    if widget.locator("button[data-name=load]").count():
        tab_to(page, widget, "button[data-name=load]")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "(widget) => { const { tiles, strip } = widget.inspect(); return tiles.length && strip.length; }",
            arg=widget.element_handle(),
        )


def move(page: Page, widget: Locator, kind: str) -> None:
    control, key, _ = MOVES[kind]
    tab_to(page, widget, control)
    page.keyboard.press(key)


def is_ganlibs(widget: Locator, kind: str, settings: dict[str, Any]) -> None:
    """What the widget shows is what ganlib computes for these settings, or from its weights and samples."""
    own = getattr(widgets, kind).class_own_traits()
    settings = {name: value for name, value in settings.items() if name in own and name[0] != "_"}

    def number(name: str) -> float:
        return float(widget.locator(f'dd[data-name="{name}"]').get_attribute("data-value"))

    if kind == "DiracGan":
        test_widget_dirac_gan.compare(widget, **settings)
    elif kind == "OptimalDiscriminator":
        optimal_discriminator.compare(widget, **settings)
    elif kind == "ParzenExplorer":
        sigmas = test_widget_parzen_explorer.SIGMAS
        at = int(np.argmin(np.abs(np.log(np.array(sigmas) / settings["sigma"]))))
        chosen = {"all": "chosen", "paper": "chosen_of_papers"}[settings["widths"]]
        test_widget_parzen_explorer.compare(widget, at, chosen)
    elif kind == "Figure1Live":
        state = widget.evaluate("(widget) => widget.inspect()")
        x, p_g = np.array(state["x"]), np.array(state["grid"]["pG"])
        assert settings["data"] == "gaussian"
        p_data = theory.normalise(toys.gaussian().density(x), 0.1)
        assert number("jsd") == pytest.approx(theory.jsd(p_data, p_g, 0.1), rel=1e-9)
        assert number("cost") == pytest.approx(theory.cost(p_data, p_g, 0.1), rel=1e-9)
        assert number("value") == pytest.approx(theory.value(state["grid"]["d"], p_data, p_g, 0.1), rel=1e-9)
    elif kind == "Playground":
        flat = widget.evaluate("(widget) => widget.inspect().samples")
        mixture = widgets.Playground(**settings).mixture
        exact = toys.Mixture(mixture.name, mixture.centres.double(), mixture.std)
        modes = count_modes(torch.tensor(flat, dtype=torch.float64).reshape(-1, 2), exact)
        assert number("covered") == modes.covered
        assert number("quality") == pytest.approx(modes.high_quality, rel=1e-6)
    else:
        seen, latent = widget.evaluate("(widget) => widget.inspect()"), test_widget_latent_explorer
        a, b, c = (latent.point(settings[f"seed_{name}"]) for name in "abc")
        z = a + settings["s"] * (b - a) + settings["t"] * (c - a)
        image = latent.generated(z[None])[0]
        latent.close(seen["image"], image)
        for i, (index, distance) in enumerate(latent.three_nearest(image)):
            assert seen["neighbours"][i]["index"] == index
            assert number(f"distance-{i + 1}") == pytest.approx(distance, abs=1e-4)


def test_every_kind_of_widget_is_in_the_book(html: Path) -> None:
    found = {kind for name in PAGES for kind, _ in shown(name)}
    assert found == set(widgets.__all__) - {"Widget"}


@pytest.mark.parametrize(("name", "index", "is_served"), places())
def test_a_widget_answers_the_keyboard_with_ganlibs_numbers(
    page: Page, site: str, name: str, index: int, is_served: bool
) -> None:
    kind, settings = shown(name)[index]
    page.emulate_media(reduced_motion="reduce")  # else Figure 1 plays by itself on the first page
    widget = open_page(page, name, site if is_served else None)[index]
    load(page, widget)
    is_ganlibs(widget, kind, settings)
    before, words = widget.evaluate(NUMBERS), widget.locator("[data-name=words]").text_content()
    move(page, widget, kind)
    page.wait_for_function(OTHER_WORDS, arg=[widget.element_handle(), words])
    after = widget.evaluate(NUMBERS)
    assert [each for each in before if after[each] != before[each]]
    control, _, setting = MOVES[kind]
    if setting:
        value = float(widget.locator(control).input_value())
        if kind == "ParzenExplorer":
            value = settings["sweep"]["sigmas"][int(value)]
        assert value != settings[setting]
        settings = settings | {setting: value}
    is_ganlibs(widget, kind, settings)


@pytest.mark.parametrize("name", PAGES or ["none"])
@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_plays_until_the_reader_asks_or_the_page_has_promised_it(
    browser: Browser, site: str, name: str, motion: str
) -> None:
    context, record = pages.new_context(browser, pages.View("light", "desktop"), reduced_motion=motion)
    with contextlib.closing(context):
        page = context.new_page()
        for (_, settings), widget in zip(shown(name), open_page(page, name, site), strict=True):
            widget.scroll_into_view_if_needed()  # out of sight nothing is drawn
            if settings.get("autoplay") and motion == "no-preference":
                pause = widget.get_by_role("button", name="Pause")
                pause.wait_for()
                pause.press("Enter")
                page.wait_for_timeout(1000)  # its last frame is drawn, and what is said of it follows
            page.wait_for_function(OTHER_WORDS, arg=[widget.element_handle(), ""])
            pixels = widget.evaluate(PIXELS)
            widget.evaluate(WATCH)
            page.wait_for_timeout(700)
            assert page.evaluate("moved") == 0
            assert widget.evaluate(PIXELS) == pixels
            assert widget.evaluate("(widget) => widget.getAnimations({ subtree: true }).length") == 0
            play = widget.locator("button[data-name=play]")
            assert widget.locator("[data-name=play][aria-pressed=true]").count() == 0
            if play.count():  # and what is watched would have been seen
                play.press("Enter")
                page.wait_for_function("moved > 2")
                play.press("Enter")
        record.assert_clean()


@pytest.mark.parametrize("name", PAGES or ["none"])
def test_no_widget_is_wider_than_a_phone(browser: Browser, site: str, name: str) -> None:
    context, record = pages.new_context(browser, pages.View("light", "phone"))
    with contextlib.closing(context):
        page = context.new_page()
        for (kind, _), widget in zip(shown(name), open_page(page, name, site), strict=True):
            assert widget.evaluate(TOO_WIDE) == [], kind
            load(page, widget)
            move(page, widget, kind)
            assert widget.evaluate(TOO_WIDE) == [], f"{kind}, in use"
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        record.assert_clean()
