"""Links, anchors, alternative texts and the order of the chapters, read from the built HTML: no browser is needed."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .pages import page_names, table_of_contents

# Where each kind of element points.
TARGETS = {"a": "href", "area": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}
NOT_WORDS = re.compile(r"\S+\.(png|svg|jpe?g|gif|webp)|[0-9a-f]{8,}|_?images?\W\S*|image|figure", re.IGNORECASE)


class Reader(HTMLParser):
    """What a page links to, what in it can be linked to, its images' alternative texts, its icon and next page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.images: list[tuple[str, str | None]] = []
        self.icons: list[str] = []
        self.neighbours: dict[str, str] = {}
        self.mathematics = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        self.anchors.update(filter(None, [attributes.get("id"), attributes.get("name") if tag == "a" else None]))
        target = attributes.get(TARGETS.get(tag, ""))
        if target is not None:
            self.links.append(target)
        if tag == "img":
            self.images.append((attributes.get("src") or "", attributes.get("alt")))
        if tag == "link" and "icon" in (attributes.get("rel") or "").split():
            self.icons.append(target or "")
        for side in {"left-prev", "right-next"}.intersection(classes):
            self.neighbours[side] = target or ""
        self.mathematics += "math" in classes


def read(html: Path) -> dict[str, Reader]:
    return {
        path.relative_to(html).as_posix(): Reader(path.read_text(encoding="utf-8")) for path in html.rglob("*.html")
    }


@pytest.fixture(scope="module")
def readers(html: Path) -> dict[str, Reader]:
    """Every HTML file of the book, by its path."""
    return {name: reader for name, reader in read(html).items() if not name.startswith("_static/")}


def complaint(html: Path, readers: dict[str, Reader], page: str, link: str) -> str | None:
    """What is wrong with a link of ``page``; None if nothing is."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return (
            None if re.fullmatch(r"[\w.-]+\.\w+", parts.hostname or "") and not re.search(r"\s", link) else "bad form"
        )
    if parts.scheme == "data":
        return None
    if parts.scheme == "mailto":
        return None if re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", parts.path) else "bad form"
    if parts.scheme or parts.netloc or parts.path.startswith("/"):
        return "neither a web address nor relative to the page"
    there = page if not parts.path else os.path.normpath((Path(page).parent / unquote(parts.path)).as_posix())
    if not (html / there).is_file():
        return f"there is no {there}"
    # An empty fragment and "top" are the top of any page. A fragment of another kind of file is its own affair.
    anchor = unquote(parts.fragment)
    if anchor in ("", "top") or there not in readers or anchor in readers[there].anchors:
        return None
    return f"{there} has no #{anchor}"


def complaints(html: Path, readers: dict[str, Reader]) -> list[str]:
    """A line for every link that leads nowhere."""
    return [
        f"{page}: {link}: {wrong}"
        for page, reader in readers.items()
        for link in sorted(set(reader.links))
        if (wrong := complaint(html, readers, page, link))
    ]


def speechless(readers: dict[str, Reader]) -> list[str]:
    """A line for every image whose alternative text is absent, empty, or a file name or hash instead of words."""
    return [
        f"{page}: {source[:80]}: alt={alt!r}"
        for page, reader in readers.items()
        for source, alt in reader.images
        if not (alt or "").strip() or NOT_WORDS.fullmatch((alt or "").strip())
    ]


def test_every_link_and_anchor_resolves(html: Path, readers: dict[str, Reader]) -> None:
    found = complaints(html, readers)
    assert sum(len(reader.links) for reader in readers.values()) > 20 * len(readers)
    assert found == [], "\n" + "\n".join(found)


def test_every_image_says_what_it_shows(readers: dict[str, Reader]) -> None:
    found = speechless(readers)
    assert any(reader.images for reader in readers.values())
    assert found == [], "\n" + "\n".join(found)


def test_every_page_has_an_icon_of_its_own(html: Path, readers: dict[str, Reader]) -> None:
    names = page_names(html)
    assert [name for name in names if not readers[f"{name}.html"].icons] == []


def test_next_leads_through_the_whole_book_and_previous_back(readers: dict[str, Reader]) -> None:
    chapters = [f"{file}.html" for file in table_of_contents()]
    for side, order in {"right-next": chapters, "left-prev": chapters[::-1]}.items():
        walk = [order[0]]
        while (link := readers[walk[-1]].neighbours.get(side)) and len(walk) <= len(order):
            walk.append(os.path.normpath((Path(walk[-1]).parent / link).as_posix()))
        assert walk == order


def test_chapters_have_mathematics_for_the_browser_to_set(readers: dict[str, Reader]) -> None:
    """Else the test that all of it is typeset would pass on pages that have lost it."""
    assert sum(reader.mathematics > 10 for reader in readers.values()) >= 9


PAGE = """<a href="other.html#there">1</a> <a href="#here">2</a> <a href="">3</a> <a href="other.html#%C3%A9">4</a>
<a href="https://arxiv.org/abs/1406.2661">5</a> <img src="a%20b.png" alt="The curve rises."> <i id="here"></i>"""


def test_sound_links_and_texts_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "other.html").write_text('<p id="there"><p id="é">')
    (tmp_path / "a b.png").touch()
    assert complaints(tmp_path, read(tmp_path)) == []
    assert speechless(read(tmp_path)) == []


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("<a href='absent.html'>x</a>", "there is no absent.html"),
        ("<a href='../page.html'>x</a>", "there is no ../page.html"),
        ("<a href='.'>x</a>", "there is no ."),
        ("<a href='#absent'>x</a>", "page.html has no #absent"),
        ("<img src='absent.png'>", "there is no absent.png"),
        ("<a href='/page.html'>x</a>", "neither"),
        ("<a href='//example.org/'>x</a>", "neither"),
        ("<a href='javascript:x()'>x</a>", "neither"),
        ("<a href='https://'>x</a>", "bad form"),
        ("<a href='https://example'>x</a>", "bad form"),
        ("<a href='https://example.org/a b'>x</a>", "bad form"),
    ],
)
def test_a_broken_link_is_found(body: str, wrong: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(body)
    (found,) = complaints(tmp_path, read(tmp_path))
    assert found.startswith("page.html: ")
    assert wrong in found


@pytest.mark.parametrize(
    "alt",
    ["", " ", "fig-1.png", "../_images/9f86d081884c7d65.png", "9f86d081884c7d659a2feaa0c55ad015", "_images/x", "image"],
)
def test_an_image_without_words_is_found(alt: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<img src='x.png' alt='{alt}'>")
    assert len(speechless(read(tmp_path))) == 1
    (tmp_path / "page.html").write_text("<img src='x.png'>")
    assert len(speechless(read(tmp_path))) == 1
