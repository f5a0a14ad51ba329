"""Serve MathJax from the book itself, so that no page asks another site for anything.

Where npm cannot fetch it, or fetches something else, the build fails. Who cannot have npm's packages may ask for pages
that load MathJax from Sphinx's default address, with GANLIB_MATHJAX=cdn: each page then says so, and so does a warning.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import npm
from sphinx.errors import ExtensionError
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

VERSION = "3.2.2"
SHA512 = (
    "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
    "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b"
)
# Parts, because the one-file bundle has a menu and MathML input that no page uses: a quarter of a page's weight.
PARTS = ("core", "input/tex", "output/chtml", "a11y/assistive-mml")
SINGLE = ("startup", *PARTS, "output/chtml/fonts/tex")
WANTED = {
    "LICENSE": "mathjax/LICENSE",
    **{f"es5/{part}.js": f"mathjax/{part}.js" for part in SINGLE},
    "es5/output/chtml/fonts/woff-v2/": "mathjax/output/chtml/fonts/woff-v2/",
    # What \cancel, \boldsymbol and others load by themselves.
    "es5/input/tex/extensions/": "mathjax/input/tex/extensions/",
}


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
        static = npm.package("mathjax", VERSION, SHA512, WANTED, Path(config.local_mathjax_cache))
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
    config.html_static_path = [*config.html_static_path, str(static)]
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = {**(config.mathjax3_config or {}), "loader": {"load": list(PARTS)}}


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("local_mathjax_cache", str(npm.CACHE), "")
    app.connect("config-inited", use_local)
    return {"version": VERSION, "parallel_read_safe": True, "parallel_write_safe": True}
