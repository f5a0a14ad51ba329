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
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
SHEET = "styles/pydata-sphinx-theme.css"
FONTS = "vendor/fontawesome/webfonts"
UNUSED = (
    "scripts/fontawesome.js",
    "scripts/fontawesome.js.map",
    "scripts/fontawesome.js.LICENSE.txt",
    "vendor/fontawesome",
)

RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"([^"]+)"\}')
FACE = re.compile(r"src:url\([^)]*/(fa-[a-z]+-\d+)\.woff2\)[^;}]*")
NAME = re.compile(r"\bfa-[a-z0-9-]+")
# In CSS a character is itself or a backslash and its number; icons lie in the private use area.
ESCAPE = re.compile(r"\\([0-9a-fA-F]{4,6})\s?")
PRIVATE = re.compile("[\ue000-\uf8ff]")


def names(texts: Iterable[str]) -> set[str]:
    """Every class of the form ``fa-...`` in pages and scripts; some are sizes and styles, not icons."""
    return {name for text in texts for name in NAME.findall(text)}


def private(css: str) -> set[str]:
    """The characters from the private use area that a style sheet draws by itself."""
    return set(PRIVATE.findall(ESCAPE.sub(lambda match: chr(int(match[1], 16)), css)))


def cut(font: Path, characters: Iterable[str]) -> bytes:
    """A WOFF with only those ``characters`` that ``font`` has; empty if it has none of them. The same on every run."""
    with TTFont(font, recalcTimestamp=False) as face:
        wanted = {ord(character) for character in characters} & set(face.getBestCmap())
        if not wanted:
            return b""
        options = subset.Options(hinting=False, layout_features=[], name_IDs=["*"], notdef_outline=True)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=sorted(wanted))
        subsetter.subset(face)
        face.flavor = "woff"
        written = io.BytesIO()
        face.save(written)
    return written.getvalue()


def reduce(sheet: str, used: set[str], fonts: Path, more: Iterable[str] = ()) -> str:
    """The theme's style sheet with the icons ``used`` alone, their fonts inside.

    Parameters
    ----------
    sheet : the style sheet as the theme ships it.
    used : classes ``fa-...`` that occur; those that are no icons do not matter.
    fonts : the folder with the theme's TrueType fonts.
    more : other style sheets, searched for icons they draw by themselves.

    Raises
    ------
    ValueError
        If the style sheet has no icon rules or no icon fonts: the theme has changed.
    """
    if not RULE.search(sheet) or not FACE.search(sheet):
        raise ValueError("the theme's style sheet has no icon rules as of Font Awesome 6: was the theme updated?")
    characters: set[str] = set()

    def keep(rule: re.Match[str]) -> str:
        selectors = [each for each in rule[1].split(",") if each[1:].removesuffix(":before") in used]
        if not selectors:
            return ""
        characters.update(private(rule[2]) or rule[2])
        return f'{",".join(selectors)}{{content:"{rule[2]}"}}'

    reduced = RULE.sub(keep, sheet)
    for css in (RULE.sub("", sheet), *more):
        characters.update(private(css))

    def embed(face: re.Match[str]) -> str:
        font = cut(fonts / f"{face[1]}.ttf", characters)
        return f"src:url(data:font/woff;base64,{base64.b64encode(font).decode()}) format('woff')"

    return FACE.sub(embed, reduced)


def ship(app: Sphinx, exception: Exception | None) -> None:
    """After the pages are written: replace the theme's style sheet, remove the script and the fonts."""
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    static = out / "_static"
    texts = [path.read_text(encoding="utf-8") for path in sorted(out.rglob("*.html"))]
    scripts = [path for path in sorted(static.rglob("*.js")) if path.name != "fontawesome.js"]
    texts += [path.read_text(encoding="utf-8") for path in scripts]
    others = [path.read_text(encoding="utf-8") for path in sorted(static.rglob("*.css")) if path != static / SHEET]
    # From the theme itself: what lies in the output may be reduced already.
    whole = (THEME / SHEET).read_text(encoding="utf-8")
    try:
        (static / SHEET).write_text(reduce(whole, names(texts), THEME / FONTS, others), encoding="utf-8")
    except (ValueError, OSError) as error:
        raise ExtensionError(f"icons: {error}") from error
    for name in UNUSED:
        path = static / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    vendor = static / "vendor"
    if vendor.is_dir() and not any(vendor.iterdir()):
        vendor.rmdir()


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", ship)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
