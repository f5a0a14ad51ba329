"""Pages load MathJax from the book itself; where it cannot be had the build says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sphinx.testing.util import SphinxTestApp

ROOT = Path(__file__).resolve().parents[1]
EXTENSIONS = ROOT / "book" / "_ext"


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the extension be found as it is during a build, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    for name in ("npm", "local_mathjax"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def page(tmp_path: Path, cache: Path) -> tuple[str, str]:
    """The HTML of a page with an equation, and what Sphinx warned of, the extension caching in ``cache``."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        f"extensions = ['sphinx.ext.mathjax', 'local_mathjax']\nlocal_mathjax_cache = {str(cache)!r}\n"
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


def test_without_a_copy_one_warning_says_where_pages_will_load_it_from(extensions: None, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()  # a cache that cannot be written, for any user
    text, warnings = page(tmp_path, tmp_path / "a file" / "cache")
    assert 'src="https://' in text
    assert warnings.count("WARNING") == 1
    assert "MathJax will come from another site" in warnings
