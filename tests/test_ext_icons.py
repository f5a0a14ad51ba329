"""The icons a page uses stay, the others go: fonts, rules and the theme's script."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"

spec = importlib.util.spec_from_file_location("icons", EXTENSIONS / "icons.py")
icons = importlib.util.module_from_spec(spec)
spec.loader.exec_module(icons)

SHEET = (icons.THEME / icons.SHEET).read_text(encoding="utf-8")
FONTS = icons.THEME / icons.FONTS
SUN, GITHUB, BELL, ANGLE_DOWN = "\uf185", "\uf09b", "\uf0f3", "\uf107"


def inside(sheet: str) -> dict[str, set[str]]:
    """The characters of each embedded font by the font's family and weight."""
    found = {}
    for face in re.findall(r"@font-face\{[^}]*\}", sheet):
        data = re.search(r"base64,([^)]*)\)", face)[1]
        name = re.search(r"font-family:([^;]*)", face)[1], re.search(r"font-weight:(\d+)", face)[1]
        font = TTFont(io.BytesIO(base64.b64decode(data))) if data else None
        found[name[0].replace("\\", "") + name[1]] = {chr(code) for code in font.getBestCmap()} if font else set()
    return found


def test_names_are_found_in_pages_and_scripts() -> None:
    assert icons.names(['<i class="fa-solid fa-sun fa-lg">', 'x.classList = "fa-solid fa-xmark"', "sofa-bed"]) == {
        "fa-solid",
        "fa-sun",
        "fa-lg",
        "fa-xmark",
    }


def test_characters_are_found_however_they_are_written() -> None:
    assert icons.private(f'a{{content:"\\f107"}} b{{--icon:"{BELL}"}} c{{content:"\\2014 x"}}') == {ANGLE_DOWN, BELL}


def test_used_icons_stay_and_others_go() -> None:
    reduced = icons.reduce(SHEET, {"fa-solid", "fa-sun", "fa-github", "fa-brands"}, FONTS, ['a{content:"\\f107"}'])
    assert ".fa-sun:before{" in reduced
    assert ".fa-moon:before" not in reduced
    assert "webfonts" not in reduced
    fonts = inside(reduced)
    # The bell stands beside admonitions: a rule of the theme's own, not of a page.
    assert {SUN, BELL, ANGLE_DOWN} <= fonts["Font Awesome 6 Free900"]
    assert GITHUB in fonts["Font Awesome 6 Brands400"]
    assert all(len(characters) < 40 for characters in fonts.values())


def test_everything_but_icons_is_as_the_theme_has_it() -> None:
    def rest(sheet: str) -> str:
        return icons.FACE.sub("", icons.RULE.sub("", sheet))

    reduced = icons.reduce(SHEET, {"fa-sun"}, FONTS)
    assert re.sub(r"src:url\(data:font/woff[^;}]*;base64,[^;}]*", "", icons.RULE.sub("", reduced)) == rest(SHEET)
    assert "Font Awesome Free" in reduced  # the notice


def test_another_name_of_the_same_icon_is_kept_alone() -> None:
    reduced = icons.reduce(SHEET, {"fa-pencil-alt"}, FONTS)
    assert ".fa-pencil-alt:before{" in reduced
    assert ".fa-pencil:before" not in reduced


def test_the_same_icons_give_the_same_bytes() -> None:
    font = FONTS / "fa-solid-900.ttf"
    assert icons.cut(font, [SUN, BELL]) == icons.cut(font, [BELL, SUN])
    assert icons.cut(font, ["\ue000"]) == b""


def test_glyphs_are_those_of_the_theme() -> None:
    font = FONTS / "fa-solid-900.ttf"
    whole, part = TTFont(font), TTFont(io.BytesIO(icons.cut(font, [SUN])))
    shapes = [face["glyf"][face.getBestCmap()[ord(SUN)]].getCoordinates(face["glyf"])[0] for face in (whole, part)]
    assert shapes[0] == shapes[1]


def test_a_theme_without_the_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="no icon rules as of Font Awesome 6"):
        icons.reduce("a{color:red}", {"fa-sun"}, FONTS)


def built(folder: Path) -> SimpleNamespace:
    """A built site of one page, with the theme's files where Sphinx puts them."""
    for name, text in {
        "_static/scripts/fontawesome.js": "'fa-moon'",
        "_static/scripts/theme.js": "'fa-xmark'",
        "_static/vendor/fontawesome/webfonts/fa-solid-900.woff2": "",
        "_static/styles/book.css": 'a:after{content:"\\f107"}',
        "_static/styles/pydata-sphinx-theme.css": SHEET,
        "index.html": '<i class="fa-solid fa-sun"></i>',
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return SimpleNamespace(outdir=str(folder), builder=SimpleNamespace(format="html"))


def test_a_site_is_left_with_its_own_icons_only(tmp_path: Path) -> None:
    app = built(tmp_path)
    icons.ship(app, None)
    first = (tmp_path / "_static" / icons.SHEET).read_text()
    assert [name for name in ("sun", "xmark", "moon") if f".fa-{name}:before" in first] == ["sun", "xmark"]
    assert not (tmp_path / "_static/scripts/fontawesome.js").exists()
    assert not (tmp_path / "_static/vendor").exists()
    # The next build may find its own work: an icon that is new there must not be missing.
    (tmp_path / "new.html").write_text('<i class="fa-moon"></i>')
    icons.ship(app, None)
    assert ".fa-moon:before" in (tmp_path / "_static" / icons.SHEET).read_text()


def test_a_failed_build_is_left_alone_and_a_changed_theme_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = built(tmp_path / "site")
    icons.ship(app, RuntimeError("failed"))
    assert (tmp_path / "site/_static/scripts/fontawesome.js").exists()
    (tmp_path / "styles").mkdir()
    (tmp_path / icons.SHEET).write_text("a{}")
    monkeypatch.setattr(icons, "THEME", tmp_path)
    with pytest.raises(ExtensionError, match="was the theme updated"):
        icons.ship(app, None)
