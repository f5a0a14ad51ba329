"""The theme's pages are mended: what assistive technology is told, which scripts are left, and when they run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from sphinx_pages import build, extension

page = extension("page")


def mended(body: str = "", head: str = "", **options: object) -> BeautifulSoup:
    html = f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</body></html>'
    return BeautifulSoup(page.mend(html, **options), "html.parser")


def test_what_is_no_page_is_left_alone() -> None:
    assert page.mend("<ul><li>a fragment</ul>") == "<ul><li>a fragment</ul>"


def test_text_and_code_keep_every_character() -> None:
    code = "a &lt; b &amp;&amp; c\n\n    d — “é”  \n"
    html = page.mend(f"<html><head></head><body><pre>{code}</pre><p>\\(x &lt; y\\)</p></body></html>")
    assert f"<pre>{code}</pre>" in html
    assert "\\(x &lt; y\\)" in html


def test_scripts_wait_for_the_text_in_their_order() -> None:
    head = (
        '<link rel="preload" as="script" href="a.js"><script src="a.js"></script>'
        "<script>DOCUMENTATION_OPTIONS.pagename = 'x';</script><script>let hint = 1;</script>"
        '<script src="b.js" async></script><script type="module" src="c.js"></script>'
    )
    scripts = mended(head=head).find_all("script")
    assert [script.get("src") for script in scripts] == ["a.js", None, None, "b.js", "c.js"]
    assert [script.has_attr("defer") for script in scripts] == [True, False, False, False, False]
    # A script in the page that uses what a deferred one defines has to wait too: modules do, and in turn.
    assert [script.get("type") for script in scripts] == [None, "module", None, None, "module"]
    assert not mended(head=head).select("link")


@pytest.mark.parametrize(("pagename", "left"), [("book/index", []), ("search", page.SEARCH_SCRIPTS)])
def test_search_scripts_are_on_the_search_page_only(pagename: str, left: list[str]) -> None:
    head = "".join(f'<script src="../_static/{name}?v=1"></script>' for name in page.SEARCH_SCRIPTS)
    sources = [script["src"] for script in mended(head=head, pagename=pagename).find_all("script")]
    assert sources == [f"../_static/{name}?v=1" for name in left]


def test_a_search_from_disk_fetches_no_pages() -> None:
    head = "<script>DOCUMENTATION_OPTIONS.pagename = 'search';</script>"
    assert "SHOW_SEARCH_SUMMARY = false" in mended(head=head, pagename="search").script.text
    assert "SHOW_SEARCH_SUMMARY" not in mended(head=head, pagename="book/index").script.text


@pytest.mark.parametrize(
    ("body", "left"),
    [('<span class="math">\\(x\\)</span>', 2), ('<div class="output_area">$x$</div>', 2), ("<p>no mathematics</p>", 0)],
)
def test_mathjax_is_loaded_where_there_is_mathematics(body: str, left: int) -> None:
    head = '<script>window.MathJax = {"tex": {}}</script><script src="_static/mathjax/startup.js"></script>'
    assert len(mended(body, head).find_all("script")) == left


def test_what_a_page_does_not_use_is_not_loaded() -> None:
    head = (
        '<script defer src="_static/scripts/fontawesome.js?digest=1"></script><script src="design-tabs.js"></script>'
        '<link rel="stylesheet" href="sphinx-design.min.css">'
    )
    assert not mended(head=head).select("script, link")
    assert len(mended('<div class="x sd-tab-set"></div>', head).select("script, link")) == 2


def test_the_theme_is_chosen_before_anything_is_drawn() -> None:
    theirs = 'document.documentElement.dataset.mode = localStorage.getItem("mode") || "auto";'
    html = f'<html data-theme="auto"><head><script data-cfasync="false">{theirs}</script></head><body></body></html>'
    soup = BeautifulSoup(page.mend(html), "html.parser")
    assert soup.html["data-theme"] == "light"
    assert 'getItem("mode") || "auto"' in soup.script.text
    assert "prefers-color-scheme: dark" in soup.script.text
    assert not soup.script.has_attr("defer")


def test_names_say_what_is_seen() -> None:
    soup = mended(
        '<button class="btn search-button-field" aria-label="Search" title="Search"><i class="fa-solid fa-x"></i>Search'
        '<kbd>K</kbd></button><details><summary aria-label="Toggle hidden content"><p>Show code</p></summary></details>'
        '<button aria-label="Color mode"><i class="fa-solid fa-sun" title="Light"></i></button>'
        '<a class="left-prev" href="a.html" title="previous page"><p class="prev-next-subtitle">previous</p></a>'
    )
    assert not soup.select("summary[aria-label], .search-button-field[aria-label], [title]")
    assert soup.find("button", attrs={"aria-label": "Color mode"}) is not None  # nothing else names it
    assert all(icon["aria-hidden"] == "true" for icon in soup.find_all("i"))
    assert soup.select_one(".prev-next-subtitle").text == "Previous"


def test_parts_of_the_page_have_roles_and_names() -> None:
    soup = mended(
        '<dialog id="pst-search-dialog"></dialog><div id="pst-primary-sidebar"></div>'
        '<main id="main-content" role="main"></main>'
    )
    assert soup.dialog["aria-label"] == "Search this book"
    assert (soup.div["role"], soup.div["aria-label"]) == ("complementary", "Book")
    assert soup.main["tabindex"] == "-1"


def test_a_list_within_a_list_belongs_to_an_item() -> None:
    soup = mended("<ul><li>a</li><li>b</li>\n<ul><li>b.c</li><ol><li>b.c.d</li></ol></ul><li>e</li></ul>")
    assert not soup.select(":is(ul, ol) > :not(li)")
    assert [item.text.strip() for item in soup.body.ul.find_all("li", recursive=False)] == ["a", "b" + "b.cb.c.d", "e"]
    assert soup.select_one("ul > li > ul > li > ol > li").text == "b.c.d"


def test_a_widget_says_what_it_needs_where_it_cannot_run() -> None:
    view = '<script type="application/vnd.jupyter.widget-view+json">{"model_id": "a"}</script>'
    html = page.mend(f"<html><head></head><body><div>{view}</div><p>x</p><div>{view}</div></body></html>")
    soup = BeautifulSoup(html, "html.parser")
    for script in soup.select("script"):
        assert script.find_next_sibling().name == "noscript"
        assert "needs JavaScript" in script.find_next_sibling().p.text
    assert len(soup.find_all("noscript")) == 2
    assert not mended("<p>no widget</p>").find("noscript")


def test_formulas_say_what_they_need_where_they_cannot_be_typeset() -> None:
    text = '<h1>Title</h1><p>If <span class="math">\\(x\\)</span></p>'
    body = f'<h1>For print</h1><article class="bd-article">{text}</article>'
    html = page.mend(f"<html><head></head><body>{body}</body></html>")
    soup = BeautifulSoup(html, "html.parser")
    assert [child.name for child in soup.article.find_all(recursive=False)] == ["h1", "noscript", "p"]
    assert len(soup.find_all("noscript")) == 1
    assert "TeX source" in soup.noscript.p.text
    assert not mended('<article class="bd-article"><h1>Title</h1><p>No formula.</p></article>').find("noscript")


def test_a_bibliography_is_a_list_of_items() -> None:
    entry = '<div class="citation" id="{0}" role="doc-biblioentry"><p>{0}</p></div>'
    soup = mended(f'<div role="list" class="citation-list"><a id="x"></a>{entry.format("a")}{entry.format("b")}</div>')
    box = soup.select_one(".citation-list")
    assert [child["role"] for child in box.find_all(recursive=False)] == ["listitem", "listitem"]
    assert box.select_one("#a > a#x") is not None  # the anchor still works


def test_korean_words_are_marked_as_korean() -> None:
    soup = mended("<p>a (생성기, 적대적 신경망) b</p><pre>판별기</pre><script>'판별기'</script>")
    assert [word.text for word in soup.select("[lang=ko]")] == ["생성기, 적대적 신경망", "판별기"]
    assert soup.p.text == "a (생성기, 적대적 신경망) b"
    assert soup.script.string == "'판별기'"


def test_a_corner_of_a_table_is_no_heading() -> None:
    soup = mended('<table><tr><th class="head"><p></p></th><th>k</th><th><img alt="D" src="d.png"></th></tr></table>')
    assert [cell.name for cell in soup.tr.find_all(recursive=False)] == ["td", "th", "th"]


def test_plots_are_marked_and_other_pictures_are_not() -> None:
    body = (
        '<article class="bd-article"><img class="a" src="plot.png"><img src="digits.png"></article><img src="plot.png">'
    )
    soup = mended(body, is_plot=lambda source: source == "plot.png")
    assert [picture.get("class") for picture in soup.find_all("img")] == [["a", "plot"], None, None]


def test_a_plot_is_mostly_white(tmp_path: Path) -> None:
    plot = np.full((40, 60, 3), 255, np.uint8)
    plot[20:22] = (0, 114, 178)
    digits = np.zeros((40, 60), np.uint8)
    digits[::4] = 255
    for name, pixels in (("plot", plot), ("digits", digits)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_text("no picture")
    found = {name: page.drawn_on_white(tmp_path / f"{name}.png") for name in ("plot", "digits", "broken", "absent")}
    assert found == {"plot": True, "digits": False, "broken": False, "absent": False}


def test_sphinx_writes_mended_pages(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), "white").save(tmp_path / "plot.png")
    Image.new("RGB", (30, 30), "black").save(tmp_path / "digits.png")
    (tmp_path / "index.rst").write_text(
        "Title\n=====\n\n.. container:: bd-article\n\n   .. image:: plot.png\n\n   .. image:: digits.png\n"
    )
    pages, _ = build(tmp_path, "extensions = ['page']\nhtml_theme = 'basic'\nexclude_patterns = ['_build']\n")
    html = (pages / "index.html").read_text()
    soup = BeautifulSoup(html, "html.parser")
    marked = {Path(img["src"]).name: "plot" in img.get("class", []) for img in soup.select(".bd-article img")}
    assert marked == {"plot.png": True, "digits.png": False}
    assert soup.select_one('script[src*="documentation_options.js"]').has_attr("defer")
    assert not soup.select('script[src*="searchtools.js"]')
    assert soup.select_one('link[href*="print.css"]')["media"] == "print"
