"""Weigh the built pages: what a reader's browser loads before a page can be read, and how long that takes.

    python tools/weigh.py [PAGE...]    pages of _build/html: kilobytes, gzipped, and first load over loopback

It exits with 1 when a page is over a limit: 400 kB of HTML, CSS and JavaScript without the widgets, 1.5 MB more with
them and with what they load on demand, 1 s to readable. Pictures and fonts are listed apart, as they are.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import importlib
import json
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
# Bytes gzipped, without the widgets and of these; seconds from navigation to painted text.
LIMITS = {"text": 400_000, "widgets": 1_500_000, "readable": 1.0}
WIDGETS = ("/_static/widgets/", "/_static/widgets.")
KINDS = {"fonts": (".woff", ".woff2", ".ttf", ".otf"), "pictures": (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp")}
STATES = "[...document.querySelectorAll('script[type=\"application/vnd.jupyter.widget-state+json\"]')]"
VIEW = "script[type='application/vnd.jupyter.widget-view+json']"


@functools.cache
def zipped(content: bytes | Path) -> int:
    """The size as a server would send it."""
    return len(gzip.compress(content if isinstance(content, bytes) else content.read_bytes(), 6, mtime=0))


def weigh(tab: Page, site: Path) -> Counter[str]:
    """Bytes by kind of the page that ``tab`` has loaded from ``site``, a folder: gzipped, but for fonts and pictures.

    What widgets keep inside the page is theirs, as is what they ask for only when a reader uses them.
    """
    address = tab.evaluate("location.pathname")
    loaded = tab.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    states = tab.evaluate(f"{STATES}.map(script => script.textContent)")
    traits = [model["state"] for state in states for model in json.loads(state)["state"].values()]
    waiting = {f"/_static/widgets/{file}.js" for trait in traits for file in trait.get("_files", {}).values()}
    page = site.joinpath(unquote(address).lstrip("/")).read_bytes()
    bare = functools.reduce(lambda text, state: text.replace(state.encode(), b"", 1), states, page)
    weight = Counter(text=zipped(bare), widgets=zipped(page) - zipped(bare))
    for path in {urlsplit(url).path for url in loaded if url.startswith("http")} - {address} | waiting:
        file = site / unquote(path).lstrip("/")
        kind = next((kind for kind, endings in KINDS.items() if path.endswith(endings)), "")
        widget = "widgets" if path.startswith(WIDGETS) else "text"
        weight[kind or widget] += file.stat().st_size if kind else zipped(file)
    return weight


def complaints(page: str, weight: Counter[str]) -> list[str]:
    """One line for each limit that a page is over."""
    over = {kind: limit for kind, limit in LIMITS.items() if weight[kind] > limit}
    return [f"{page}: {kind} {weight[kind]:,}, over {limit:,}" for kind, limit in over.items()]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    parser.add_argument("--loads", type=int, default=5, help="loads of each page, at least 1; times are medians")
    parser.add_argument("pages", nargs="*", help="pages relative to the folder, without .html; all if none is named")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    shared = importlib.import_module("tests.browser.pages")
    from playwright.sync_api import sync_playwright

    names = options.pages or shared.page_names(options.site)
    missing = [name for name in names if not (options.site / f"{name}.html").is_file()]
    if not names or missing:
        sys.exit(f"error: {options.site} has no {missing[0] if missing else 'pages'}: run make book first")
    found = []
    print(f"{'page':44}{'text':>8}{'widgets':>8}{'fonts':>8}{'pictures':>9}   kB;  readable after, s")
    with shared.serve(options.site) as base, sync_playwright() as playwright:
        if (path := shared.find_chromium(playwright)) is None:
            sys.exit("error: there is no Chromium: run make browser, or set GANLIB_CHROMIUM to the path of one")
        chromium = playwright.chromium.launch(executable_path=path, args=list(shared.ARGUMENTS))
        for name in names:
            paints = []
            for _ in range(options.loads):  # nothing is kept between them
                with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
                    tab = context.new_page()
                    tab.goto(f"{base}{name}.html", wait_until="load")
                    shared.typeset(tab)  # so that what MathJax loads is seen, and what the widgets load
                    if tab.query_selector(VIEW):
                        tab.wait_for_selector("html[data-ganlib-widgets]", state="attached")
                    weight = weigh(tab, options.site)
                    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity"
                    paints.append(tab.evaluate(paint) / 1000)
            weight["readable"] = statistics.median(paints)
            sizes = "".join(f"{weight[kind] / 1000:8.0f}" for kind in ("text", "widgets", "fonts", "pictures"))
            print(f"{name:44}{sizes} {weight['readable']:12.2f}")
            found += complaints(name, weight)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
