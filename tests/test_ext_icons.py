"""The icons a page uses stay, the others go: fonts, rules and the theme's script."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from types import SimpleNamespace

import icons
import pytest
from fontTools.ttLib import TTFont
from sphinx.errors import ExtensionError

SHEET = (icons.THEME / icons.SHEET).read_text(encoding="utf-8")
SOLID = icons.THEME / "vendor/fontawesome/webfonts/fa-solid-900.ttf"
SUN, GITHUB, BELL, ANGLE_DOWN = "\uf185", "\uf09b", "\uf0f3", "\uf107"


def inside(sheet: str) -> dict[str, set[str]]:
    """The characters of each embedded font by the font's family and weight."""
    found = {}
    for face in re.findall(r"@font-face\{[^}]*\}", sheet):
        font = TTFont(io.BytesIO(base64.b64decode(re.search(r"base64,([^)]*)\)", face)[1])))
        name = re.search(r"font-family:([^;]*)", face)[1], re.search(r"font-weight:(\d+)", face)[1]
        found[name[0].replace("\\", "") + name[1]] = {chr(code) for code in font.getBestCmap() or {}}
    return found


def test_used_icons_stay_and_others_go() -> None:
    reduced = icons.reduce(SHEET, {"fa-sun", "fa-github", "fa-pencil-alt"}, ['a{content:"\\f107"}'])
    assert [name for name in ("sun", "moon", "pencil-alt", "pencil") if f".fa-{name}:before" in reduced] == [
        "sun",
        "pencil-alt",  # another name of the same icon as pencil
    ]
    assert "webfonts" not in reduced
    fonts = inside(reduced)
    # The bell stands beside admonitions: a rule of the theme's own, not of a page.
    assert {SUN, BELL, ANGLE_DOWN} <= fonts["Font Awesome 6 Free900"]
    assert GITHUB in fonts["Font Awesome 6 Brands400"]
    assert all(len(characters) < 40 for characters in fonts.values())


def test_everything_but_icons_is_as_the_theme_has_it() -> None:
    def rest(sheet: str) -> str:
        return re.sub(r"src:url\(data:font/woff[^;}]*;base64,[^;}]*", "", icons.FACE.sub("", icons.RULE.sub("", sheet)))

    reduced = icons.reduce(SHEET, {"fa-sun"})
    assert rest(reduced) == rest(SHEET)
    assert "Font Awesome Free" in reduced  # the notice


def test_glyphs_are_those_of_the_theme_and_the_same_on_every_run() -> None:
    assert icons.cut(SOLID, [SUN, BELL]) == icons.cut(SOLID, [BELL, SUN])
    whole, part = TTFont(SOLID), TTFont(io.BytesIO(icons.cut(SOLID, [SUN])))
    shapes = [face["glyf"][face.getBestCmap()[ord(SUN)]].getCoordinates(face["glyf"])[0] for face in (whole, part)]
    assert shapes[0] == shapes[1]


@pytest.fixture
def site(tmp_path: Path) -> SimpleNamespace:
    """A built site of one page, with the theme's files where Sphinx puts them."""
    for name, text in {
        "_static/scripts/fontawesome.js": "'fa-moon'",
        "_static/scripts/theme.js": "'fa-xmark'",
        "_static/vendor/fontawesome/webfonts/fa-solid-900.woff2": "",
        "_static/styles/pydata-sphinx-theme.css": SHEET,
        "index.html": '<i class="fa-solid fa-sun"></i><i class="sofa-bell">',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return SimpleNamespace(outdir=str(tmp_path), builder=SimpleNamespace(format="html"))


def test_a_site_is_left_with_its_own_icons_only(site: SimpleNamespace, tmp_path: Path) -> None:
    icons.ship(site, None)
    sheet = tmp_path / "_static" / icons.SHEET
    shipped = [name for name in ("sun", "xmark", "moon", "bell") if f".fa-{name}:before" in sheet.read_text()]
    assert shipped == ["sun", "xmark"]
    assert not (tmp_path / "_static/scripts/fontawesome.js").exists()
    assert not (tmp_path / "_static/vendor/fontawesome").exists()
    # The next build may find its own work: an icon that is new there must not be missing.
    (tmp_path / "new.html").write_text('<i class="fa-moon"></i>')
    icons.ship(site, None)
    assert ".fa-moon:before" in sheet.read_text()


def test_a_failed_build_is_left_alone_and_a_changed_theme_is_named(
    site: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    icons.ship(site, RuntimeError("failed"))
    assert (tmp_path / "_static/scripts/fontawesome.js").exists()
    monkeypatch.setattr(icons, "THEME", tmp_path / "theme")
    (tmp_path / "theme/styles").mkdir(parents=True)
    (tmp_path / "theme" / icons.SHEET).write_text("a{}")
    with pytest.raises(ExtensionError, match="was the theme updated"):
        icons.ship(site, None)
