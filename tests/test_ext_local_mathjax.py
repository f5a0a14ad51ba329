"""Pages load MathJax from the book itself; where it cannot be had there are none, unless they were asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sphinx.errors import ExtensionError
from sphinx.testing.util import SphinxTestApp

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = ROOT / "book" / "_ext"


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the extension be found as it is during a build, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    for name in ("npm", "local_mathjax"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def page(tmp_path: Path, cache: Path, more: str = "") -> tuple[str, str]:
    """The HTML of a page with an equation, and what Sphinx warned of, the extension caching in ``cache``."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        f"extensions = ['sphinx.ext.mathjax', 'local_mathjax']\nlocal_mathjax_cache = {str(cache)!r}\n{more}"
    )
    (source / "index.rst").write_text("Page\n====\n\n:math:`x`\n")
    app = SphinxTestApp("html", srcdir=source)
    app.build()
    text, warnings = (source / "_build" / "html" / "index.html").read_text(), app.warning.getvalue()
    app.cleanup()
    return text, warnings


def test_pages_load_the_local_copy(extensions: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import local_mathjax
    import npm

    def package(name: str, version: str, sha512: str, wanted: dict[str, str], cache: Path) -> Path:
        assert (name, version) == ("mathjax", local_mathjax.VERSION)
        for path in wanted.values():
            if not path.endswith("/"):
                (cache / path).parent.mkdir(parents=True, exist_ok=True)
                (cache / path).write_text(path)
        return cache

    monkeypatch.setattr(npm, "package", package)
    text, warnings = page(tmp_path, tmp_path / "cache")
    assert 'src="_static/mathjax/startup.js' in text
    assert '"loader": {"load": ["core", "input/tex", "output/chtml", "a11y/assistive-mml"]}' in text
    assert "https://" not in "".join(line for line in text.splitlines() if "<script" in line)
    assert (tmp_path / "source" / "_build" / "html" / "_static" / "mathjax" / "startup.js").is_file()
    assert "MathJax" not in warnings


@pytest.fixture
def no_copy(tmp_path: Path) -> Path:
    """A cache that cannot be written, for any user."""
    (tmp_path / "a file").touch()
    return tmp_path / "a file" / "cache"


def test_without_a_copy_there_is_no_page(
    extensions: None, tmp_path: Path, no_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GANLIB_MATHJAX", raising=False)
    with pytest.raises(ExtensionError, match=r"cannot be written.*GANLIB_MATHJAX=cdn"):
        page(tmp_path, no_copy)
    assert not list(tmp_path.rglob("*.html"))


def test_another_archive_is_as_bad_as_none(extensions: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An npm that hands out what is asked for, but not the bytes that were expected."""
    import npm

    program = "import pathlib; pathlib.Path('mathjax-3.2.2.tgz').write_bytes(b'other')"
    monkeypatch.setattr(npm, "command", lambda: [sys.executable, "-c", program])
    monkeypatch.delenv("GANLIB_MATHJAX", raising=False)
    with pytest.raises(ExtensionError, match=r"mathjax 3\.2\.2 is not the expected archive"):
        page(tmp_path, tmp_path / "cache")


def test_asked_for_elsewhere_every_page_says_where_it_comes_from(
    extensions: None, tmp_path: Path, no_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLIB_MATHJAX", "cdn")
    text, warnings = page(tmp_path, no_copy, "html_theme = 'pydata_sphinx_theme'\n")
    assert 'src="https://cdn.jsdelivr.net/' in text
    assert "fetches from another site (cdn.jsdelivr.net)" in text
    assert warnings.count("WARNING") == 1  # so that a strict build fails all the same
    assert "pages will fetch MathJax from another site" in warnings


def test_another_word_is_refused(extensions: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLIB_MATHJAX", "yes")
    with pytest.raises(ExtensionError, match="GANLIB_MATHJAX is 'yes'"):
        page(tmp_path, tmp_path / "cache")
