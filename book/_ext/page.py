"""Mend the theme's pages while they are written: names and roles for assistive technology, scripts that do not block.

Sphinx renders a page through its template bridge; ours passes what the theme's templates made through `mend`. Nothing
is changed that the theme's style sheets or scripts select by.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bs4 import BeautifulSoup
from bs4.element import NavigableString
from PIL import Image
from sphinx.jinja2glue import BuiltinTemplateLoader

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

# The theme's search page loads these by itself; elsewhere only a search as one types, which is off, would use them.
SEARCH_SCRIPTS = ("searchtools.js", "language_data.js", "searchindex.js")
DIALOGS = {
    "pst-search-dialog": "Search this book",
    "pst-primary-sidebar-modal": "Chapters",
    "pst-secondary-sidebar-modal": "On this page",
}
WIDGETS = "script[type^='application/vnd.jupyter.widget-view']"
MATHEMATICS = f".math, .output_area, {WIDGETS}"
NO_SCRIPT = '<noscript><p class="no-script">This widget computes in your browser and needs JavaScript.</p></noscript>'
NO_FORMULAS = (
    '<noscript><p class="no-script">Formulas on this page are shown as TeX source: to typeset them, your browser needs '
    "JavaScript.</p></noscript>"
)
# The theme's own script knows "auto" only once the page is there: a reader of dark pages would see a light one first.
FIRST_THEME = """
    {
      const mode = localStorage.getItem("mode") || "DEFAULT";
      const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
      document.documentElement.dataset.mode = mode;
      document.documentElement.dataset.theme = mode === "auto" ? system : mode;
    }
  """
# A page opened from disk may not fetch others, which is where the search takes the lines around a find from.
NO_SUMMARY = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
HANGUL = re.compile(r"[\u3131-\u318e\uac00-\ud7a3]+(?:[ ,]+[\u3131-\u318e\uac00-\ud7a3]+)*")
PLOT_GROUND = 0.6  # share of white pixels from which a picture is a plot and no grid of images


def mend(html: str, *, pagename: str = "", is_plot: Callable[[str], bool] = lambda source: False) -> str:
    """The HTML of one page, mended.

    Parameters
    ----------
    html : a whole page as the theme's templates made it.
    pagename : Sphinx's name of it, such as ``book/index``.
    is_plot : whether the picture with this ``src`` is drawn on white and may be recoloured for dark pages.
    """
    soup = BeautifulSoup(html, "html.parser")
    if soup.html is None or soup.body is None:
        return html
    _head(soup)
    _scripts(soup, pagename)
    _landmarks(soup)
    _labels(soup)
    _bibliography(soup)
    _tables_and_lists(soup)
    _korean(soup)
    _without_javascript(soup)
    for picture in soup.select(".bd-article img[src]"):
        if is_plot(str(picture["src"])):
            picture["class"] = " ".join([*filter(None, picture.get_attribute_list("class")), "plot"])
    return str(soup)


def _head(soup: BeautifulSoup) -> None:
    for again in soup.select("head meta[name=viewport]")[1:]:
        again.decompose()
    assert soup.html is not None
    if soup.html.get("data-theme") == "auto":
        soup.html["data-theme"] = "light"  # for browsers without JavaScript
    for script in soup.select("script[data-cfasync]"):
        default = re.search(r'getItem\("mode"\) \|\| "(\w*)"', script.text)
        if default:
            script.string = FIRST_THEME.replace("DEFAULT", default[1])


def _scripts(soup: BeautifulSoup, pagename: str) -> None:
    """The text comes first: every script of a file waits for it, in the order of the page."""
    typesets = soup.select_one(MATHEMATICS) is not None
    for link in soup.select("link[rel=preload][as=script]"):
        link.decompose()  # it would compete with the style sheets
    if soup.select_one("[class^='sd-'], [class*=' sd-']") is None:
        for unused in soup.select("link[href*='sphinx-design'], script[src*='design-tabs']"):
            unused.decompose()
    for script in soup.find_all("script"):
        source = str(script.get("src", "")).partition("?")[0]
        name = source.rpartition("/")[2]
        mathjax = "mathjax" in source.lower() or script.text.lstrip().startswith("window.MathJax")
        surplus = name in SEARCH_SCRIPTS and pagename != "search"
        if name == "fontawesome.js" or surplus or (mathjax and not typesets):
            script.decompose()
        elif source and script.get("type") in (None, "text/javascript") and not script.has_attr("async"):
            script["defer"] = "defer"
        elif script.text.lstrip().startswith("DOCUMENTATION_OPTIONS."):
            script["type"] = "module"  # waits as well, and in turn
            script.string = f"{script.text}\n{NO_SUMMARY}" if pagename == "search" else script.text


def _landmarks(soup: BeautifulSoup) -> None:
    for identifier, label in DIALOGS.items():
        for dialog in soup.select(f"dialog#{identifier}"):
            dialog["aria-label"] = label
    for sidebar in soup.select("#pst-primary-sidebar"):
        sidebar["role"] = "complementary"
        sidebar["aria-label"] = "Book"
    for main in soup.select("main#main-content"):
        main["tabindex"] = "-1"  # so that the skip link takes the keyboard with it in every browser


def _labels(soup: BeautifulSoup) -> None:
    """What is seen is what is read: no label that says something else, no icon that is read out."""
    for icon in soup.select("i[class*='fa-'], span[class*='fa-']"):
        icon["aria-hidden"] = "true"
        del icon["title"]
    for summary in soup.select("summary[aria-label]"):
        del summary["aria-label"]
    for button in soup.select("button.search-button-field"):
        del button["aria-label"]
        del button["title"]
    for arrow, word in (("left-prev", "Previous"), ("right-next", "Next")):
        for link in soup.select(f"a.{arrow}"):
            del link["title"]
            for subtitle in link.select(".prev-next-subtitle"):
                subtitle.string = word


def _bibliography(soup: BeautifulSoup) -> None:
    for entry in soup.select("[role=doc-biblioentry]"):
        entry["role"] = "listitem"  # the other role is deprecated
    for box in soup.select(".citation-list"):
        # A list may hold nothing but its items: an anchor between two of them goes into the next, or behind the list.
        for anchor in box.select(":scope > :not([role=listitem])"):
            after = anchor.find_next_sibling(role="listitem")
            if after is None:
                box.insert_after(anchor.extract())
            else:
                after.insert(0, anchor.extract())


def _tables_and_lists(soup: BeautifulSoup) -> None:
    for cell in soup.find_all("th"):
        if not cell.text.strip() and cell.find("img") is None:
            cell.name = "td"  # a corner is no heading
    for inner in soup.select(":is(ul, ol) > :is(ul, ol)"):
        item = inner.find_previous_sibling("li")
        if item is not None:
            item.append(inner.extract())  # a list may hold nothing but its items


def _korean(soup: BeautifulSoup) -> None:
    """Korean words are marked as Korean: read out as such, and shown in a font that has them (ganlib.css)."""
    for text in soup.body.find_all(string=HANGUL) if soup.body else ():
        if type(text) is not NavigableString or text.find_parent(["script", "style"]) is not None:
            continue
        parts: list[Any] = []
        end = 0
        for found in HANGUL.finditer(text):
            parts.append(NavigableString(text[end : found.start()]))
            word = soup.new_tag("span", lang="ko")
            word.string = found[0]
            parts.append(word)
            end = found.end()
        text.replace_with(*parts, NavigableString(text[end:]))


def _without_javascript(soup: BeautifulSoup) -> None:
    """What a reader misses is said: beside each widget, and once where there are formulas."""
    for script in soup.select(WIDGETS):
        script.insert_after(BeautifulSoup(NO_SCRIPT, "html.parser"))
    title = soup.select_one(".bd-article h1")
    if title is not None and soup.select_one(".bd-article .math") is not None:
        title.insert_after(BeautifulSoup(NO_FORMULAS, "html.parser"))


def drawn_on_white(path: Path) -> bool:
    """Whether most of a picture is white: a plot, which can be recoloured, and not a grid of images, which cannot."""
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError):
        return False
    return bool((pixels.min(axis=2) >= 250).mean() >= PLOT_GROUND)


class Templates(BuiltinTemplateLoader):
    """Sphinx's own template bridge, with every finished page mended."""

    def init(self, builder: Any, theme: Any = None, dirs: Any = None) -> None:
        super().init(builder, theme, dirs)
        self.builder = builder
        self.known: dict[str, bool] = {}

    def is_plot(self, source: str) -> bool:
        """Whether the picture with this ``src`` in a page is a plot; the answer is kept."""
        name = source.rpartition("/")[2]
        if name not in self.known:
            # Sphinx copies pictures once all pages are written; until then it knows where each comes from.
            origins = [path for path, target in self.builder.images.items() if target == name]
            self.known[name] = any(drawn_on_white(Path(self.builder.srcdir, origin)) for origin in origins)
        return self.known[name]

    def render(self, template: str, context: dict[str, Any]) -> str:  # type: ignore[override]
        html = super().render(template, context)
        if not template.endswith(".html") or "</body>" not in html:
            return html
        return mend(html, pagename=str(context.get("pagename", "")), is_plot=self.is_plot)


def use_bridge(app: Sphinx, config: Config) -> None:
    config.template_bridge = f"{__name__}.Templates"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", use_bridge)
    app.add_css_file("print.css", media="print")
    app.add_js_file("reading.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
