"""What the browser tests share: the built book, whether it is current, the browser, and what went wrong on a page."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # tools/browser.sh looks for the same
# No request leaves the machine: names and addresses other than the tests' own server cannot be reached, and no proxy is
# used. The requests are still made, so that a page that makes one is found out.
ARGUMENTS = ("--no-sandbox", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")


@dataclass(frozen=True)
class View:
    """A theme and a kind of screen."""

    theme: str
    screen: str

    @property
    def size(self) -> dict[str, int]:
        """Width and height of the window in CSS pixels."""
        return {"width": 390, "height": 844} if self.screen == "phone" else {"width": 1280, "height": 800}

    def __str__(self) -> str:
        return f"{self.theme}-{self.screen}"


VIEWS = [View(theme, screen) for theme in ("light", "dark") for screen in ("phone", "desktop")]


def table_of_contents(root: Path = ROOT) -> list[str]:
    """The chapters in reading order, as paths without a suffix."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def book_build() -> ModuleType:
    """book/build.py, which is a script, as a module."""
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stale(root: Path = ROOT) -> str | None:
    """Why ``root/_build/html`` is not the book as its sources are now, and what to do; None when it is."""
    build = book_build()
    folder, remedy = root / "_build", "run make book"
    try:
        built = json.loads((folder / "keys.json").read_text())
        since = (folder / "keys.json").stat().st_mtime  # written when a build starts
    except (OSError, ValueError):
        return f"the book is not built: {remedy}"
    if built != build.keys(root):
        return f"the built book is older than what it is made from (ganlib, results, settings, extensions): {remedy}"
    for source in [root / f"{file}.md" for file in table_of_contents(root)] + sorted((root / "book").glob("*.bib")):
        if source.stat().st_mtime > since:
            return f"the built book is older than {source.relative_to(root)}: {remedy}"
    if (folder / "failed").is_file():
        return f"the last build of the book failed ({(folder / 'failed').read_text().strip()}): {remedy}"
    unwritten = [file for file in table_of_contents(root) if not (folder / "html" / f"{file}.html").is_file()]
    if unwritten:
        return f"the last build of the book failed (it did not write {', '.join(unwritten)}): {remedy}"
    return None


def built() -> tuple[Path, str | None]:
    """The folder of the built pages, and why they cannot be tested (None: they can).

    The variable ``GANLIB_TEST_HTML`` names another folder; it is tested whatever its age.
    """
    chosen = os.environ.get("GANLIB_TEST_HTML", "").strip()
    if not chosen:
        return ROOT / "_build" / "html", stale()
    if not (Path(chosen) / "index.html").is_file():
        raise ValueError(f"GANLIB_TEST_HTML={chosen} has no index.html: name the folder of a built book, or unset it")
    return Path(chosen).resolve(), None


def page_names(html: Path) -> list[str]:
    """Every page below ``html``, as a path without its suffix; those that only send the reader on are left out."""
    found = []
    for path in sorted(html.rglob("*.html")):
        name = path.relative_to(html)
        if name.parts[0] != "_static" and 'http-equiv="refresh"' not in path.read_text(encoding="utf-8").lower():
            found.append(name.with_suffix("").as_posix())
    return found


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve ``folder`` on a free port of this machine; yields the address, ending with a slash."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def find_chromium(playwright: Playwright) -> str | None:
    """The browser's path: ``GANLIB_CHROMIUM``, one on PATH, else what ``playwright install`` left; None without one."""
    chosen = os.environ.get("GANLIB_CHROMIUM", "").strip()
    if chosen:
        if shutil.which(chosen) is None:
            raise ValueError(f"GANLIB_CHROMIUM={chosen} cannot be run: name the path of a Chromium, or unset it")
        return chosen
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    own = playwright.chromium.executable_path
    return found or (own if Path(own).is_file() else None)


def is_outside(url: str) -> bool:
    """Whether a request for ``url`` would leave the tests' own server, the disk and the page itself."""
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob", "about", "file") and parts.hostname != "127.0.0.1"


@dataclass
class Record:
    """What a page did that a reader offline would be hurt by: ``problems``, and requests to ``outside`` addresses."""

    problems: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Record from now on what happens on any page of ``context``."""
        context.on("console", self._logged)
        context.on("weberror", lambda e: self.problems.append(f"uncaught: {e.error}"))
        context.on("request", lambda r: is_outside(r.url) and self.outside.append(r.url))
        context.on("requestfailed", self._failed)
        context.on("response", lambda r: r.status >= 400 and self.problems.append(f"HTTP {r.status}: {r.url}"))

    def _failed(self, request: Request) -> None:
        if (
            request.failure != "net::ERR_ABORTED"
        ):  # a page that is left while its files come aborts them, no error of it
            self.problems.append(f"failed request: {request.url} ({request.failure})")

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} ({message.location['url']})")

    def assert_clean(self) -> None:
        assert self.outside == [], "the page asked another site\n" + "\n".join(self.outside)
        assert self.problems == [], "\n" + "\n".join(self.problems)


def new_context(browser: Browser, view: View, **options: Any) -> tuple[BrowserContext, Record]:
    """A fresh profile on the screen of ``view`` that prefers its theme, and the record of what happens there."""
    phone = {"is_mobile": True, "has_touch": True} if view.screen == "phone" else {}
    context = browser.new_context(viewport=view.size, color_scheme=view.theme, **{**phone, **options})
    # What the theme's own switch stores.
    store = (
        f"for (const key of ['mode', 'theme']) localStorage.getItem(key) ?? localStorage.setItem(key, '{view.theme}');"
    )
    context.add_init_script(f"try {{ {store} }} catch {{ /* a blank page has no storage */ }}")
    record = Record()
    record.watch(context)
    return context, record


def typeset(page: Page) -> None:
    """Wait until MathJax has set the page's mathematics, where the page has MathJax."""
    page.evaluate("() => globalThis.MathJax?.startup?.promise.then(() => null)")


@dataclass
class Visit:
    """A page of the book that has been loaded and typeset in a view, and what happened meanwhile."""

    name: str
    view: View
    page: Page
    record: Record
