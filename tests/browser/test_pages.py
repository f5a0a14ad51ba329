"""Every page of the built book in a browser: nothing fails, nothing is fetched, mathematics and widgets are drawn."""

from __future__ import annotations

from .pages import Visit

NARROWEST = 320  # CSS pixels, of WCAG 2.2's criterion 1.4.10, Reflow

# Text that MathJax should have typeset; code is shown as it is written.
UNTYPESET = r"""() => {
  const bad = [...document.querySelectorAll(".math, mjx-merror")]
    .filter(e => e.matches("mjx-merror") || !e.querySelector("mjx-container"))
    .map(e => e.textContent.slice(0, 60));
  const texts = document.createTreeWalker(document.querySelector("main") ?? document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentElement } = texts.currentNode;
    const shown = !parentElement.closest("pre, code, script, style, mjx-container, .ganlib-widget");
    if (shown && /\\\(|\\\[|\\begin\{|\$\$/.test(data)) bad.push(data.trim().slice(0, 60));
  }
  return bad;
}"""

# What a reader can neither see nor scroll to: the page as a whole must not move sideways, a box in it may.
CLIPPED = """folded => {
  const width = document.documentElement.clientWidth, bad = [];
  const name = e => `${e.tagName.toLowerCase()}.${[...e.classList].join(".")} "${e.textContent.trim().slice(0, 30)}"`;
  for (const e of document.querySelectorAll(["mjx-container[display] mjx-math", "img", "table", "pre", "svg", "canvas"]
    .map(s => `main ${s}`))) {
    const box = e.getBoundingClientRect();
    if (!box.width || !box.height || e.closest("mjx-assistive-mml")) continue;
    if (!folded && !e.checkVisibility()) continue;
    let right = width;
    for (let up = e.parentElement; up; up = up.parentElement) {
      const { overflowX } = getComputedStyle(up), edge = up.getBoundingClientRect();
      if (overflowX === "auto" || overflowX === "scroll") { right = Infinity; break; }
      if (overflowX !== "visible") right = Math.min(right, edge.right);
    }
    if (box.right > right + 1 || box.left < -1) bad.push(`${name(e)} reaches from ${box.left} to ${box.right}`);
  }
  return bad;
}"""

BROKEN_IMAGES = """async () => {
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  for (let round = 0; round < 100 && !images.every(i => i.complete); round += 1) {
    await new Promise(done => setTimeout(done, 100));
  }
  return images.filter(i => !i.complete || !i.naturalWidth).map(i => i.src);
}"""

# Widgets may wait until they are near the window.
MISSING_WIDGETS = """async () => {
  const scripts = [...document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')];
  const isDrawn = e => e.getBoundingClientRect().width > 0 && e.getBoundingClientRect().height > 0;
  const drawn = () => [...document.querySelectorAll(".ganlib-widget")]
    .filter(widget => [...widget.querySelectorAll("canvas, svg")].some(isDrawn)).length;
  for (let round = 0; round < 100 && drawn() !== scripts.length; round += 1) {
    scripts[round % scripts.length]?.parentElement.scrollIntoView();
    await new Promise(done => setTimeout(done, 100));
  }
  return `${drawn()} drawn of ${scripts.length}, ${document.querySelectorAll(".ganlib-widget").length} made`;
}"""

LOOK = """() => {
  const channels = e => getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number);
  const [r, g, b] = channels(document.body);
  return [document.documentElement.dataset.theme, (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255];
}"""


def test_nothing_fails_and_nothing_is_fetched_from_elsewhere(visit: Visit) -> None:
    visit.record.assert_clean()


def test_mathematics_is_typeset(visit: Visit) -> None:
    assert visit.page.evaluate(UNTYPESET) == []


def test_the_page_fits_the_screen(visit: Visit) -> None:
    size = visit.view.size
    # A small phone, or a larger one with larger letters: what just fits with the fonts here is wider with another's.
    widths = [NARROWEST, size["width"]] if visit.view.screen == "phone" else [size["width"]]
    try:
        for width in widths:
            visit.page.set_viewport_size({**size, "width": width})
            assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width
            # What is folded keeps the layout it had before the window was resized.
            assert visit.page.evaluate(CLIPPED, width == size["width"]) == []
    finally:
        visit.page.set_viewport_size(size)


def test_images_are_loaded(visit: Visit) -> None:
    assert visit.page.evaluate(BROKEN_IMAGES) == []


def test_widgets_are_drawn(visit: Visit) -> None:
    count = visit.page.evaluate("""() => document.querySelectorAll('script[type$="widget-view+json"]').length""")
    assert visit.page.evaluate(MISSING_WIDGETS) == f"{count} drawn of {count}, {count} made"
    visit.record.assert_clean()


def test_the_theme_is_the_one_chosen(visit: Visit) -> None:
    theme, luminance = visit.page.evaluate(LOOK)
    assert theme == visit.view.theme
    assert luminance > 0.8 if theme == "light" else luminance < 0.2


def test_nothing_moves_for_a_reader_who_prefers_that(visit: Visit) -> None:
    running = "() => document.getAnimations().filter(a => a.playState === 'running').map(a => a.transitionProperty)"
    visit.page.emulate_media(reduced_motion="reduce")
    try:
        assert visit.page.evaluate(running) == []
        visit.page.keyboard.press("Tab")  # the theme's skip link slides in
        assert visit.page.evaluate(running) == []
        assert visit.page.evaluate("() => getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    finally:
        visit.page.evaluate("() => document.activeElement.blur()")
        visit.page.emulate_media(reduced_motion="no-preference")
