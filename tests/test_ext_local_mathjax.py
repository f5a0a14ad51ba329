"""Pages load MathJax from the book itself; where it cannot be had there are none, unless they were asked for."""

from __future__ import annotations

from pathlib import Path

import local_mathjax
import npm
import pytest
from books import stand_in_mathjax
from sphinx.errors import ExtensionError
from sphinx.testing.util import SphinxTestApp


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


def test_pages_load_the_local_copy(tmp_path: Path) -> None:
    text, warnings = page(tmp_path, stand_in_mathjax(tmp_path / "cache"))
    assert 'src="_static/mathjax/startup.js' in text
    assert '"loader": {"load": ["core", "input/tex", "output/chtml", "a11y/assistive-mml"]}' in text
    assert "https://" not in "".join(line for line in text.splitlines() if "<script" in line)
    copied = tmp_path / "source" / "_build" / "html" / "_static" / "mathjax"
    assert all((copied / name).exists() for name in ("LICENSE", *local_mathjax.FILES, *local_mathjax.FOLDERS))
    assert "MathJax" not in warnings


@pytest.fixture
def no_copy(tmp_path: Path) -> Path:
    """A cache that cannot be written, for any user."""
    (tmp_path / "a file").touch()
    return tmp_path / "a file" / "cache"


def test_without_a_copy_there_is_no_page(tmp_path: Path, no_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANLIB_MATHJAX", raising=False)
    with pytest.raises(ExtensionError, match=r"cannot be written.*GANLIB_MATHJAX=cdn"):
        page(tmp_path, no_copy)
    assert not list(tmp_path.rglob("*.html"))


def test_another_archive_is_as_bad_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(folder: Path) -> None:
        raise npm.Unexpected("not what package-lock.json expects")

    monkeypatch.setattr(npm, "install", other)
    monkeypatch.delenv("GANLIB_MATHJAX", raising=False)
    with pytest.raises(ExtensionError, match=r"not what package-lock\.json expects"):
        page(tmp_path, tmp_path / "cache")


def test_asked_for_elsewhere_every_page_says_where_it_comes_from(
    tmp_path: Path, no_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLIB_MATHJAX", "cdn")
    text, warnings = page(tmp_path, no_copy, "html_theme = 'pydata_sphinx_theme'\n")
    assert 'src="https://cdn.jsdelivr.net/' in text
    assert "fetches from another site (cdn.jsdelivr.net)" in text
    assert warnings.count("WARNING") == 1  # so that a strict build fails all the same
    assert "pages will fetch MathJax from another site" in warnings


def test_another_word_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLIB_MATHJAX", "yes")
    with pytest.raises(ExtensionError, match="GANLIB_MATHJAX is 'yes'"):
        page(tmp_path, tmp_path / "cache")
