"""Serve MathJax from the book itself, so that no page asks another site for anything.

Where npm cannot fetch it, or fetches something else, the build fails. Who cannot have npm's packages may ask for pages
that load MathJax from Sphinx's default address, with GANLIB_MATHJAX=cdn: each page then says so, and so does a warning.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import npm
from sphinx.errors import ExtensionError
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

# Parts, because the one-file bundle has a menu and MathML input that no page uses: a quarter of a page's weight.
PARTS = ("core", "input/tex", "output/chtml", "a11y/assistive-mml")
FILES = [f"{part}.js" for part in ("startup", *PARTS, "output/chtml/fonts/tex")]
# The fonts, and what \cancel, \boldsymbol and others load by themselves.
FOLDERS = ("output/chtml/fonts/woff-v2", "input/tex/extensions")
ASK = "GANLIB_MATHJAX"
NOTE = (
    "Formulas on these pages are typeset by a script that your browser fetches from another site (cdn.jsdelivr.net): "
    "this copy of the book was built without its own."
)


def use_local(app: Sphinx, config: Config) -> None:
    """Point Sphinx at the local copy, or where the user asked for it let every page say where it comes from.

    Raises
    ------
    ExtensionError
        If it cannot be had and was not asked for elsewhere, or ``GANLIB_MATHJAX`` is another word.
    """
    asked = os.environ.get(ASK, "").strip()
    if asked not in ("", "cdn"):
        raise ExtensionError(f"{ASK} is {asked!r}; leave it out, or write cdn for pages that fetch MathJax elsewhere")
    try:
        source = npm.packages(Path(config.local_mathjax_cache)) / "mathjax"
    except npm.Unavailable as reason:
        if not asked:
            raise ExtensionError(
                f"no page may ask another site for MathJax, and there is no copy of it: {reason}. Build again with a "
                f"network (what was executed is kept), or set {ASK}=cdn for pages that fetch it elsewhere and say so"
            ) from None
        message = "pages will fetch MathJax from another site: %s"
        logging.getLogger(__name__).warning(message, reason, type="local_mathjax")
        config.html_theme_options = {**config.html_theme_options, "announcement": NOTE}
        return
    target = Path(app.outdir, "_static", "mathjax")
    for name in FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "es5" / name, target / name)
    for name in FOLDERS:
        shutil.copytree(source / "es5" / name, target / name, dirs_exist_ok=True)
    shutil.copy(source / "LICENSE", target)
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = {**(config.mathjax3_config or {}), "loader": {"load": list(PARTS)}}


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("local_mathjax_cache", str(npm.CACHE), "")
    app.connect("config-inited", use_local)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
