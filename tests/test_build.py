"""book/build.py on tiny books, with the real Jupyter Book: what fails the build, and what is done again."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from books import FRONT, ROOT, book, book_build, cell, contents, execute, stand_in_mathjax
from bs4 import BeautifulSoup

NUMBER = """\
import sys
sys.path.insert(0, "ROOT")
from ganlib.number import number
with open("ROOT/executed", "a") as file:
    file.write("once\\n")
print("the number is", number)"""
CHAPTER = FRONT + cell(NUMBER)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A book of one chapter, which imports a library of one number and counts how often it is executed."""
    root = book(tmp_path / "tiny", {"chapter": ""})
    (root / "ganlib").mkdir()
    (root / "ganlib" / "__init__.py").touch()
    (root / "ganlib" / "number.py").write_text("number = 1\n")
    write(root, CHAPTER)
    return root


def write(root: Path, chapter: str) -> None:
    (root / "book" / "chapter.md").write_text(chapter.replace("ROOT", str(root)))


def html(root: Path) -> str:
    return (root / "_build" / "html" / "book" / "chapter.html").read_text()


def executed(root: Path) -> int:
    return len((root / "executed").read_text().splitlines())


def test_only_what_changed_is_done_again(tiny: Path) -> None:
    index = tiny / "_build" / "html" / "index.html"
    assert book_build.build(tiny) == index
    assert "url=book/index.html" in index.read_text()  # relative: it works from a file:// address too
    assert "the number is 1" in html(tiny)

    book_build.build(tiny)
    assert executed(tiny) == 1

    # An imported library: outputs and pages.
    (tiny / "ganlib" / "number.py").write_text("number = 2\n")
    book_build.build(tiny)
    assert "the number is 2" in html(tiny)
    assert executed(tiny) == 2

    # The configuration: pages only.
    config = (tiny / "_config.yml").read_text()
    (tiny / "_config.yml").write_text(config.replace("Tiny", "Another title"))
    book_build.build(tiny)
    assert "Another title" in html(tiny)
    assert executed(tiny) == 2


def test_a_raising_cell_fails_every_build_until_it_is_mended(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(book_build, "ROOT", tiny)
    write(tiny, CHAPTER.replace('print("the', 'print(undefined, "the'))
    for _ in range(2):
        assert book_build.main([]) == 1
        error = capfd.readouterr().err.splitlines()
        assert error[-1] == (
            "error: a cell raised in book/chapter: NameError: name 'undefined' is not defined (traceback above)"
        )
        assert any("undefined" in line for line in error[:-1])
        assert "in book/chapter: NameError" in (tiny / "_build" / "failed").read_text()
    write(tiny, CHAPTER)
    assert book_build.main([]) == 0
    assert not (tiny / "_build" / "failed").exists()
    assert capfd.readouterr().out.splitlines()[-1] == str(tiny / "_build" / "html" / "index.html")


COLAB = """\
import os
from ganlib.notebook import committed_result
print("a committed result:", committed_result("one"))
print("files here:", os.listdir())
print("threads:", os.environ["OMP_NUM_THREADS"])
for tool in ("myst_nb", "sphinx.util", "sphinx_design", "docutils"):
    try:
        __import__(tool)
    except ModuleNotFoundError as error:
        print(error)
"""


def test_a_chapter_is_executed_as_on_colab(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tiny / "book" / "results").mkdir()
    (tiny / "book" / "results" / "one.json").write_text("225")
    (tiny / "book" / "chapter.md").write_text(FRONT + cell(COLAB))
    book_build.build(tiny)
    text = html(tiny)
    assert "a committed result: 225" in text  # but for this: the page shows it, a notebook cannot
    assert "files here: []" in text
    assert "threads: 1" in text
    assert text.count("tools are not in Colab") == 4


def test_chapters_are_executed_side_by_side_and_one_that_raises_spoils_no_other(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two chapters that each wait until the other has begun, and a third that raises."""
    monkeypatch.setattr(execute.psutil, "virtual_memory", lambda: SimpleNamespace(available=3 * 2**31))
    monkeypatch.setattr(execute.os, "cpu_count", lambda: 8)
    wait = """\
import pathlib, time
pathlib.Path("ROOT/{me}").touch()
for _ in range(6000):
    if pathlib.Path("ROOT/{other}").exists():
        break
    time.sleep(0.01)
else:
    raise TimeoutError
"""
    names = ("one", "two", "raises")
    contents(tiny, *names)
    for name, code in zip(
        names, (wait.format(me="one", other="two"), wait.format(me="two", other="one"), "1 / 0\n"), strict=True
    ):
        (tiny / "book" / f"{name}.md").write_text(FRONT + cell(code.replace("ROOT", str(tiny))))
    assert list(execute.execute(tiny)) == ["book/raises"]
    assert "executing 3 chapters, 3 at a time" in capfd.readouterr().out
    assert list(execute.execute(tiny)) == ["book/raises"]  # the others' outputs are stored
    assert "executing 1 chapters, 1 at a time" in capfd.readouterr().out


def test_a_kernel_that_dies_is_said_to_have(tiny: Path) -> None:
    write(tiny, CHAPTER.replace("print(", "1 / 0, print("))
    assert "ZeroDivisionError" in execute.execute(tiny)["book/chapter"]
    write(tiny, CHAPTER.replace("print(", "import os; os._exit(1), print("))
    assert execute.execute(tiny)["book/chapter"].startswith("its kernel died")


def test_an_interruption_leaves_no_kernel_behind(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(book_build, "ROOT", tiny)
    others = set(psutil.Process().children(recursive=True))
    (tiny / "book" / "chapter.md").write_text(
        FRONT + cell(f"import os, signal, time\nos.kill({os.getpid()}, signal.SIGINT)\ntime.sleep(600)")
    )
    assert book_build.main([]) == 130
    assert capfd.readouterr().err == "error: interrupted; the chapters executed so far are kept\n"
    assert set(psutil.Process().children(recursive=True)) <= others


def test_chapters_that_train_come_first(tiny: Path) -> None:
    contents(tiny, "chapter", "trains", "words")
    (tiny / "book" / "trains.md").write_text(CHAPTER.replace("import sys", "import sys\nsteps = on_gpu(1000, 10)"))
    (tiny / "book" / "words.md").write_text("# No code\n")
    assert list(execute.chapters(tiny)) == ["book/trains", "book/chapter"]


def test_a_warning_fails_the_strict_build_only(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (tiny / "book" / "chapter.md").open("a") as file:
        file.write("\nSee {ref}`nowhere`.\n")
    book_build.build(tiny)
    capfd.readouterr()
    with pytest.raises(book_build.BuildError, match="failed with 1 warnings or errors"):
        book_build.build(tiny, strict=True)
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(r"chapter\.md:\d+: WARNING: undefined label: 'nowhere'", line)


def test_the_strict_build_fails_on_a_raising_cell_and_starts_from_nothing(tiny: Path) -> None:
    left = tiny / "_build" / "html" / "left-over.html"
    left.parent.mkdir(parents=True)
    left.touch()
    book_build.build(tiny, strict=True)
    assert not left.exists()
    write(tiny, CHAPTER.replace("print(", "1 / 0, print("))
    with pytest.raises(book_build.BuildError, match="a cell raised in book/chapter: ZeroDivisionError"):
        book_build.build(tiny, strict=True)


def test_keys_follow_what_a_page_is_made_from(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(relative: str) -> set[str]:
        before = book_build.keys(tiny)
        path = tiny / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("more\n")
        after = book_build.keys(tiny)
        return {name for name in before if before[name] != after[name]}

    for relative in ("ganlib/number.py", "ganlib/widgets/a.js", "constraints.txt", "book/results/table.json"):
        assert changed(relative) == {"outputs"}
    assert changed("benchmarks/results/floor.json") == {"outputs"}
    for relative in ("_config.yml", "_toc.yml", "book/static/a.css", "book/_ext/extension.py"):
        assert changed(relative) == {"pages"}
    for relative in ("ganlib/__pycache__/number.pyc", "book/chapter.md", "README.md"):
        assert changed(relative) == set()

    now = book_build.keys(tiny)
    (tiny / "ganlib" / "number.py").rename(tiny / "ganlib" / "renamed.py")
    assert book_build.keys(tiny)["outputs"] != now["outputs"]
    for module, name in ((book_build.platform, "python_version"), (book_build.metadata, "version")):
        now = book_build.keys(tiny)
        monkeypatch.setattr(module, name, lambda *_: "another version")
        assert book_build.keys(tiny)["outputs"] != now["outputs"]
    now = book_build.keys(tiny)
    monkeypatch.setenv("GANLIB_DATA", "/elsewhere")
    assert book_build.keys(tiny)["outputs"] != now["outputs"]
    now = book_build.keys(tiny)
    monkeypatch.setenv("GANLIB_CHROMIUM", "/usr/bin/chromium")  # for the tests, no cell reads it
    assert book_build.keys(tiny) == now
    for name in ("GANLIB_BOOK_URL", "GANLIB_MATHJAX"):  # on the pages, in no output
        now = book_build.keys(tiny)
        monkeypatch.setenv(name, "https://example.org/book/")
        after = book_build.keys(tiny)
        assert (after["outputs"], after["pages"] != now["pages"]) == (now["outputs"], True)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("exit(2)", "Jupyter Book failed with code 2"),
        ("pass", "index.html was not written"),
    ],
)
def test_other_failures_are_one_line(
    program: str, message: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(book_build, "ROOT", tiny)
    monkeypatch.setattr(book_build, "JUPYTER_BOOK", [sys.executable, "-c", program])
    assert book_build.main([]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_build_folder_that_cannot_be_written_is_one_line(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(book_build, "ROOT", tiny)
    (tiny / "_build").write_text("a file where the folder should be")
    assert book_build.main([]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: {tiny / '_build'}")


PAGE = r"""
$\pdata$, {eq}`an-equation`, {prf:ref}`a-theorem` and {cite:t}`someone`.

```{math}
:label: an-equation
\min_G \max_D \E_{x \sim \pdata} [\log D(x)] + \E_{z \sim \pz} [\log (1 - D(G(z)))]
- \KL(\pdata \| \pg) - \JSD(\pdata \| \pg)
```

```{prf:theorem} A theorem
:label: a-theorem
It holds.
```

```{exercise}
:label: an-exercise
Prove it.
```

```{solution} an-exercise
:class: dropdown
Like this.
```
"""


def test_the_projects_own_configuration_builds_what_chapters_use_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANLIB_BOOK_URL", "https://example.org/book")
    root = tmp_path / "own"
    chapter = FRONT + "Words that say what this page is about.\n\n"
    chapter += cell('import sys\nprint("a result")\nprint("SOMETHING NOISY".lower(), file=sys.stderr)') + PAGE
    book(root, {"chapter": chapter})
    for name in ("_ext", "static"):
        shutil.copytree(ROOT / "book" / name, root / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["config"]["local_mathjax_cache"] = str(stand_in_mathjax(tmp_path / "cache"))
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    (root / "book" / "references.bib").write_text("@misc{someone, author={Some One}, title={A Title}, year={2014}}\n")
    (root / "book" / "index.md").write_text("# Home\n\n```{bibliography}\n```\n")
    for name in (".pytest_cache/README.md", "README.md", "docs/page.md"):  # pages of other things
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("# Not a chapter\n")
    book_build.build(root, strict=True)

    text = html(root)
    assert "a result" in text
    assert "something noisy" not in text
    for macro in ("pdata", "pg", "pz", "E", "KL", "JSD"):
        assert f'"{macro}":' in text
    # Nothing on the page is loaded from another site.
    soup = BeautifulSoup(text, "html.parser")
    loading = soup.select("script[src], img[src], iframe[src], link[href]:not([rel=canonical])")
    loaded = [str(tag.get("src") or tag["href"]).partition("?")[0] for tag in loading]
    assert {"../_static/ganlib.css", "../_static/favicon.png"} <= {*loaded}
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []
    # What a site shows where a page is shared.
    tags = {tag.get("property") or tag.get("name"): tag["content"] for tag in soup.select("meta[content]")}
    assert tags["og:title"] == "A chapter"
    assert tags["og:description"] == tags["description"]
    assert tags["description"].startswith("Words that say what this page is about.")
    assert tags["og:url"] == "https://example.org/book/book/chapter.html"
    card = tags["og:image"].removeprefix("https://example.org/book/")
    assert (root / "_build" / "html" / card).is_file()
    assert tags["og:site_name"] == config["title"]
    assert {"og:type", "og:image:alt", "twitter:card", "theme-color"} <= tags.keys()
    assert 'data-mode="auto"' in text or "dataset.mode" in text
    assert "thebe" not in text.lower()


def test_without_mathjax_the_plain_build_is_red_and_says_what_to_do(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(book_build, "ROOT", tiny)
    monkeypatch.delenv("GANLIB_MATHJAX", raising=False)
    shutil.copytree(ROOT / "book" / "_ext", tiny / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    (tiny / "a file").touch()
    sphinx = {
        "local_extensions": {"local_mathjax": "book/_ext"},
        "config": {"local_mathjax_cache": str(tiny / "a file" / "cache")},
    }
    with (tiny / "_config.yml").open("a") as file:
        file.write(yaml.safe_dump({"sphinx": sphinx}))
    assert book_build.main([]) == 1
    assert "no page may ask another site for MathJax" in capfd.readouterr().out
    assert not list(tiny.rglob("chapter.html"))


def test_a_blank_variable_changes_no_stored_work(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANLIB_DEVICE", raising=False)
    unset = book_build.keys(tiny)
    monkeypatch.setenv("GANLIB_DEVICE", " ")
    assert book_build.keys(tiny) == unset
    monkeypatch.setenv("GANLIB_DEVICE", "cpu")
    assert book_build.keys(tiny) != unset
