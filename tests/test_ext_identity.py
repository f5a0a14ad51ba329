"""The book's icon, card and tags: made while it is built, the same on every run, absolute where an address is known."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"

spec = importlib.util.spec_from_file_location("identity", EXTENSIONS / "identity.py")
identity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(identity)

PARAGRAPH = "What a discriminator learns is a ratio of two densities, and this page shows why that is."


def head(body: str = "", base: str = "", title: str = "The <em>global</em> optimum &amp; more") -> dict[str, str]:
    """The tags of a page, by name or property, and the address of its icon."""
    config = SimpleNamespace(html_title="Nets, executed", html_baseurl=base)
    context = {"title": title, "body": body, "pathto": lambda name, resource: f"../{name}", "metatags": ""}
    identity.tags(SimpleNamespace(config=config), "book/page", "page.html", context, None)
    soup = BeautifulSoup(context["metatags"], "html.parser")
    found = {tag.get("property") or tag["name"]: tag["content"] for tag in soup.find_all("meta")}
    return found | {"icon": soup.find("link", rel="icon")["href"]}


def test_tags_name_the_page_and_its_card() -> None:
    tags = head(f"<h1>x</h1><p>{PARAGRAPH}</p>")
    assert tags["og:title"] == "The global optimum & more"
    assert tags["og:description"] == tags["description"] == PARAGRAPH
    assert tags["og:image"] == "../_static/social-card.png"
    assert tags["icon"] == "../_static/favicon.png"
    assert "og:url" not in tags


def test_addresses_are_absolute_once_the_book_has_one() -> None:
    tags = head(base="https://example.org/book/")
    assert tags["og:image"] == "https://example.org/book/_static/social-card.png"
    assert tags["og:url"] == "https://example.org/book/book/page.html"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", ""),
        ("<p>Too short.</p>", ""),
        (f'<p>With <span class="math">\\(x\\)</span> in {PARAGRAPH}</p><p>{PARAGRAPH}</p>', PARAGRAPH),
        (
            f"<p>Here is a list of everything that this chapter will have shown you by its end:</p><p>{PARAGRAPH}</p>",
            PARAGRAPH,
        ),
        (f"<p>A &lt;b&gt; <em>of</em>\n{PARAGRAPH}</p>", f"A <b> of {PARAGRAPH}"),
    ],
)
def test_a_description_is_the_first_plain_paragraph(body: str, expected: str) -> None:
    assert identity.description(body) == expected


def test_a_long_description_ends_with_a_word() -> None:
    text = identity.description(f"<p>A {'density ' * 40}.</p>")
    assert len(text) <= identity.LONGEST
    assert text.endswith("density…")


def test_the_curves_are_those_of_the_paper() -> None:
    x, p_data, p_g, d = identity.curves()
    np.testing.assert_allclose(d, p_data / (p_data + p_g))
    middle = d[np.argmin(np.abs(x - 0.45))]  # between the two means the densities are equal
    assert middle == pytest.approx(0.5, abs=0.01)


def test_pictures_have_their_sizes_and_are_the_same_on_every_run(tmp_path: Path) -> None:
    config = SimpleNamespace(html_title="Generative Adversarial Nets, executed", html_baseurl="")
    written = []
    for name in ("a", "b"):
        app = SimpleNamespace(outdir=str(tmp_path / name), builder=SimpleNamespace(format="html"), config=config)
        identity.draw(app, None)
        files = ("_static/favicon.png", "_static/social-card.png", "favicon.ico")
        written.append([(tmp_path / name / file).read_bytes() for file in files])
    assert written[0] == written[1]
    with Image.open(tmp_path / "a/_static/social-card.png") as card, Image.open(tmp_path / "a/favicon.ico") as icon:
        assert card.size == identity.CARD_SIZE
        assert icon.size == (32, 32)


def test_the_title_fits_on_the_card() -> None:
    figure = identity.draw_card("Generative Adversarial Nets", "executed")
    identity.FigureCanvasAgg(figure).draw()
    assert all(text.get_window_extent().x1 < identity.CARD_SIZE[0] for text in figure.texts)
