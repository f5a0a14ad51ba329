"""Weigh the built pages: what a reader's browser loads before a page can be read, and how long that takes.

    python tools/weigh.py                    every page of _build/html: kilobytes, gzipped, and first load over loopback
    python tools/weigh.py --json FILE        the same as JSON, with where it was measured

It exits with 1 when a page is over a limit: 400 kB of HTML, CSS and JavaScript without the widgets, 1.5 MB more with
them and with what they load on demand, 1 s to readable. Pictures and fonts are listed apart. What a script fetches by
itself is seen by Chromium only. Without one it exits with 2, unless --loads 0 asks for no timing.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

ROOT = Path(__file__).resolve().parents[1]
PAGE_LIMIT = 400_000  # bytes gzipped: HTML, CSS and JavaScript of a page, its widgets apart
WIDGET_LIMIT = 1_500_000  # bytes gzipped that widgets may add
READABLE_LIMIT = 1.0  # seconds from navigation to painted text, over loopback
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
WIDGETS = ("_static/widgets/", "_static/widgets.")
FONTS = (".woff", ".woff2", ".ttf", ".otf")
PICTURES = (".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp", ".ico")
IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')\s;]+)")


@dataclass
class Weight:
    """Bytes of one page, gzipped: ``text`` is HTML, CSS and JavaScript without widgets, ``widgets`` what these add to
    the page's load, ``on_demand`` what they ask for when a reader uses them. Fonts and pictures as they are."""

    text: int = 0
    widgets: int = 0
    on_demand: int = 0
    fonts: int = 0
    pictures: int = 0
    parts: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, content: bytes, waits: bool = False) -> None:
        """Count a file under its kind; ``path`` is relative to the site, ``waits`` says that a widget asks for it."""
        if path.endswith(FONTS):
            self.fonts += len(content)
        elif path.endswith(PICTURES):
            self.pictures += len(content)
        else:
            packed = zipped(content)
            self.parts[path] = packed
            if waits:
                self.on_demand += packed
            elif path.startswith(WIDGETS):
                self.widgets += packed
            else:
                self.text += packed


@dataclass
class Timing:
    """Seconds from navigation: first contentful paint and DOMContentLoaded, medians; and what the page asked for."""

    readable: float
    parsed: float
    requests: list[str]


class Tags(HTMLParser):
    """The addresses that the tags of a page load, and the JSON of its widgets, as (type, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.state: list[tuple[str, str]] = []
        self.kind = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.kind = given.get("type", "") if tag == "script" else ""
        if tag in ("script", "img") and given.get("src"):
            self.addresses.append(given["src"])
        loads = {"stylesheet", "icon", "preload"} & set(given.get("rel", "").split())
        if tag == "link" and loads and given.get("media") != "print":
            self.addresses.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        self.kind = ""

    def handle_data(self, data: str) -> None:
        if self.kind in (STATE, VIEW):
            self.state.append((self.kind, data))

    def widget_files(self) -> tuple[list[str], list[str]]:
        """The files of the page's widgets, relative to the site: modules and styles; what is loaded on demand."""
        states = "".join(text for kind, text in self.state if kind == STATE)
        traits = [model["state"] for model in json.loads(states)["state"].values()] if states else []
        texts = [
            each["file"] for trait in traits for each in trait.values() if isinstance(each, dict) and "file" in each
        ]
        assets = [file for trait in traits for file in trait.get("_files", {}).values()]
        return [f"{WIDGETS[0]}{name}.js" for name in texts], [f"{WIDGETS[0]}{name}.js" for name in assets]


def zipped(content: bytes) -> int:
    """The size of ``content`` as a server would send it: gzip at level 6."""
    return len(gzip.compress(content, 6, mtime=0))


def pages(site: Path) -> list[str]:
    """Every page below ``site``, relative to it; redirections and the theme's own templates are none."""
    found = []
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        if not name.startswith(("_static/", "reports/")) and b"</body>" in path.read_bytes():
            found.append(name)
    return found


def local(site: Path, page: str, address: str) -> str | None:
    """The file of ``site`` that ``address`` in ``page`` names, relative to it; None if it is none of them."""
    parts = urlsplit(urljoin(f"http://site/{page}", urldefrag(address).url))
    if parts.scheme != "http" or parts.netloc != "site":
        return None
    path = unquote(parts.path).lstrip("/")
    return path if (site / path).is_file() else None


def weigh(site: Path, page: str, also: Sequence[str] = ()) -> Weight:
    """Weigh one page.

    Parameters
    ----------
    site : the folder of the built book. page : a page in it, relative.
    also : further files it was seen to load, relative to ``site``.

    Raises
    ------
    FileNotFoundError
        If a tag or a widget of the page loads a file that is not there.
    """
    content = (site / page).read_bytes()
    tags = Tags()
    tags.feed(content.decode("utf-8"))
    weight = Weight()
    bare = content
    for _, state in tags.state:  # what widgets keep inside the page is theirs
        bare = bare.replace(state.encode(), b"", 1)
    weight.text = zipped(bare)
    weight.widgets = zipped(content) - weight.text
    weight.parts[page] = weight.text
    texts, assets = tags.widget_files()
    waiting = [(page, address) for address in tags.addresses] + [("", path) for path in (*texts, *assets, *also)]
    seen = {page}
    while waiting:
        origin, address = waiting.pop(0)
        path = local(site, origin, address)
        if path is None:
            if urlsplit(address).scheme in ("", "http", "https") and not urlsplit(address).netloc:
                raise FileNotFoundError(f"{page} loads {address}, which is not there: build the book again")
            continue
        if path in seen:
            continue
        seen.add(path)
        content = (site / path).read_bytes()
        weight.add(path, content, waits=path in assets)
        if path.endswith(".css"):
            waiting += [(path, address) for address in IMPORT.findall(content.decode("utf-8"))]
    return weight


class NoBrowserError(Exception):
    """There is no browser to time a page in."""


@contextmanager
def browser(site: Path, loads: int) -> Iterator[Callable[[str], Timing]]:
    """A function that times a page in headless Chromium: ``loads`` loads, nothing kept between them.

    Raises
    ------
    NoBrowserError
        If Playwright or a Chromium is missing; it says what to do.
    """
    sys.path.insert(0, str(ROOT))
    shared = importlib.import_module("tests.browser.pages")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "playwright":
            raise
        raise NoBrowserError("playwright is not installed: pip install playwright") from error
    with shared.serve(site) as base, sync_playwright() as playwright:
        try:
            path = shared.find_chromium(playwright)
        except ValueError as error:  # GANLIB_CHROMIUM names none
            raise NoBrowserError(str(error)) from error
        if path is None:
            raise NoBrowserError("there is no Chromium: run make browser, or set GANLIB_CHROMIUM to the path of one")
        chromium = playwright.chromium.launch(executable_path=path, args=list(shared.ARGUMENTS))

        def time(page: str) -> Timing:
            paints, parses, asked = [], [], set()
            for _ in range(loads):
                context = chromium.new_context(viewport={"width": 1280, "height": 800})
                tab = context.new_page()
                tab.on("request", lambda request: asked.add(request.url))
                tab.goto(base + page, wait_until="load")
                shared.typeset(tab)  # so that what MathJax loads is seen, and what the widgets load
                if tab.query_selector(f"script[type='{VIEW}']"):
                    tab.wait_for_selector("html[data-ganlib-widgets]", state="attached")
                paint, parsed = tab.evaluate(
                    """() => [performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity,
                    performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd]"""
                )
                paints.append(paint / 1000)
                parses.append(parsed / 1000)
                context.close()
            files = [unquote(urlsplit(url).path).lstrip("/") for url in asked if url.startswith(base)]
            return Timing(statistics.median(paints), statistics.median(parses), sorted({*files} - {page}))

        try:
            yield time
        finally:
            chromium.close()


def complaints(weights: Mapping[str, Weight], timings: Mapping[str, Timing]) -> list[str]:
    """One line for each limit that a page is over."""
    found = []
    for page, weight in weights.items():
        if weight.text > PAGE_LIMIT:
            found.append(f"{page}: {weight.text / 1000:.0f} kB without widgets, over {PAGE_LIMIT / 1000:.0f}")
        widgets = weight.widgets + weight.on_demand
        if widgets > WIDGET_LIMIT:
            found.append(f"{page}: widgets add {widgets / 1000:.0f} kB, over {WIDGET_LIMIT / 1000:.0f}")
    for page, timing in timings.items():
        if timing.readable > READABLE_LIMIT:
            found.append(f"{page}: readable after {timing.readable:.2f} s, over {READABLE_LIMIT:g}")
    return found


def table(weights: Mapping[str, Weight], timings: Mapping[str, Timing]) -> str:
    """The pages as lines of text, heaviest first; kilobytes, seconds."""
    head = f"{'page':44}{'text':>7}{'widgets':>9}{'on demand':>11}{'fonts':>7}{'pictures':>10}"
    lines = [head + (f"{'readable':>10}{'parsed':>8}" if timings else "")]
    for page, weight in sorted(weights.items(), key=lambda item: -item[1].text):
        sizes = f"{weight.text / 1000:7.0f}{weight.widgets / 1000:9.0f}{weight.on_demand / 1000:11.0f}"
        line = f"{page:44}{sizes}{weight.fonts / 1000:7.0f}{weight.pictures / 1000:10.0f}"
        if page in timings:
            line += f"{timings[page].readable:10.2f}{timings[page].parsed:8.2f}"
        lines.append(line)
    times = "seconds, medians" if timings else "nothing was timed, and no browser said what scripts load by themselves"
    return "\n".join([*lines, f"kB gzipped (fonts and pictures as they are); {times}"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the folder of the built book")
    parser.add_argument("--loads", type=int, default=5, help="loads of each page; 0 times nothing")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    parser.add_argument("pages", nargs="*", help="pages relative to the folder; all of them if none is named")
    options = parser.parse_args(arguments)
    if options.loads < 0:
        parser.error(f"--loads is {options.loads}; it must be 0 or more")
    chosen = options.pages or (pages(options.site) if options.site.is_dir() else [])
    missing = [page for page in chosen if not (options.site / page).is_file()]
    if not chosen or missing:
        what = f"has no page {missing[0]}" if missing else "holds no pages"
        print(f"error: {options.site} {what}: run make book first", file=sys.stderr)
        return 2
    if options.json is not None:
        from ganlib import provenance

        provenance.source_code(Path(__file__).parent)  # of now: what is committed meanwhile weighs nothing
    timings: dict[str, Timing] = {}
    if options.loads:
        try:
            with browser(options.site, options.loads) as time:
                timings = {page: time(page) for page in chosen}
        except NoBrowserError as error:
            print(f"error: {error}; --loads 0 weighs without timing", file=sys.stderr)
            return 2
    seen = {page: timing.requests for page, timing in timings.items()}
    weights = {page: weigh(options.site, page, seen.get(page, ())) for page in chosen}
    print(table(weights, timings))
    if options.json is not None:
        write(options.json, weights, timings, options.loads)
    over = complaints(weights, timings)
    print(*over, sep="\n", end="\n" if over else "")
    return 1 if over else 0


def write(path: Path, weights: Mapping[str, Weight], timings: Mapping[str, Timing], loads: int) -> None:
    """Write the measurements as JSON, with the limits and where they were made."""
    from ganlib import provenance

    results: dict[str, Any] = {
        "limits": {"page_bytes": PAGE_LIMIT, "widget_bytes": WIDGET_LIMIT, "readable_seconds": READABLE_LIMIT},
        "loads": loads if timings else 0,
        "environment": provenance.environment("cpu", Path(__file__).parent),
        "pages": {
            page: asdict(weight)
            | ({"readable": timings[page].readable, "parsed": timings[page].parsed} if page in timings else {})
            for page, weight in weights.items()
        },
    }
    provenance.write_results(path, results)


if __name__ == "__main__":
    sys.exit(main())
