"""Ship the icons the pages use, and no others.

The theme brings all of Font Awesome three times over: as a script, as style rules, as fonts. Here the fonts are cut
down to the icons that occur in the pages, in the scripts and in the style sheets, and put into the theme's style sheet;
the other rules go. Everything comes from the installed theme while the book is built. Font Awesome Free: icons CC BY
4.0, fonts SIL OFL 1.1, code MIT; the notices in the style sheet stay.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydata_sphinx_theme  # type: ignore[import-untyped]
from fontTools import subset  # type: ignore[import-untyped]
from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
SHEET = "styles/pydata-sphinx-theme.css"
RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"([^"]+)"\}')
FACE = re.compile(r"src:url\([^)]*/(fa-[a-z]+-\d+)\.woff2\)[^;}]*")
# In CSS a character is itself or a backslash and its number; icons lie in the private use area.
ESCAPE = re.compile(r"\\([0-9a-fA-F]{4,6})\s?")


def private(css: str) -> set[str]:
    """The characters from the private use area that a style sheet draws."""
    return set(re.findall("[\ue000-\uf8ff]", ESCAPE.sub(lambda match: chr(int(match[1], 16)), css)))


def cut(font: Path, characters: Iterable[str]) -> bytes:
    """A WOFF with only those ``characters`` that ``font`` has. The same on every run."""
    options = subset.Options(hinting=False, layout_features=[], name_IDs=["*"], notdef_outline=True, flavor="woff")
    face = subset.load_font(font, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(sorted(characters)))
    subsetter.subset(face)
    subset.save_font(face, written := io.BytesIO(), options)
    return written.getvalue()


def reduce(sheet: str, used: set[str], others: Iterable[str] = ()) -> str:
    """The theme's style sheet with the icons ``used`` alone, and those that ``others`` draw; their fonts inside.

    Raises
    ------
    ExtensionError
        If the style sheet has no icon rules or no icon fonts: the theme has changed.
    """
    if not RULE.search(sheet) or not FACE.search(sheet):
        raise ExtensionError("the theme's style sheet has no icon rules as of Font Awesome 6: was the theme updated?")

    def keep(rule: re.Match[str]) -> str:
        names = [each for each in rule[1].split(",") if each[1:].removesuffix(":before") in used]
        return f'{",".join(names)}{{content:"{rule[2]}"}}' if names else ""

    def embed(face: re.Match[str]) -> str:
        font = base64.b64encode(cut(THEME / f"vendor/fontawesome/webfonts/{face[1]}.ttf", characters)).decode()
        return f"src:url(data:font/woff;base64,{font}) format('woff')"

    reduced = RULE.sub(keep, sheet)
    characters = private("".join([reduced, *others]))
    return FACE.sub(embed, reduced)


def ship(app: Sphinx, exception: Exception | None) -> None:
    """After the pages are written: replace the theme's style sheet, remove the script and the fonts."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir, "_static")
    for name in ("fontawesome.js", "fontawesome.js.map", "fontawesome.js.LICENSE.txt"):
        (static / "scripts" / name).unlink(missing_ok=True)
    shutil.rmtree(static / "vendor" / "fontawesome", ignore_errors=True)
    texts = [path.read_text(encoding="utf-8") for path in (*Path(app.outdir).rglob("*.html"), *static.rglob("*.js"))]
    used = {name for text in texts for name in re.findall(r"\bfa-[a-z0-9-]+", text)}  # some are sizes and styles
    others = [path.read_text(encoding="utf-8") for path in static.rglob("*.css") if path != static / SHEET]
    # From the theme itself: what lies in the output may be reduced already.
    (static / SHEET).write_text(reduce((THEME / SHEET).read_text(encoding="utf-8"), used, others), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", ship)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
