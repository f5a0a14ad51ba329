"""No cell can fail, or be left out, without failing the build: what is refused, and what is found afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import silent
import yaml
from books import FRONT, ROOT, book, book_build, cell, execute


@pytest.mark.parametrize(
    "tag", ["raises-exception", "skip-execution", "remove-input", "hide-output", "hide-cell", "remove-stderr", "other"]
)
@pytest.mark.parametrize("options", [":tags: [hide-input, {}]\n", "---\ntags: [{}]\n---\n"])
def test_a_tag_that_could_hide_a_failure_is_refused_before_anything_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tag: str, options: str
) -> None:
    text = FRONT + cell("print(1)") + "Words.\n\n" + cell("1 / 0", options.format(tag))
    monkeypatch.setattr(book_build, "ROOT", book(tmp_path / "tiny", {"chapter": text}))
    for name in ("execute", "run_jupyter_book"):
        monkeypatch.setattr(book_build, name, lambda *_, **__: pytest.fail("work was done"))
    for arguments in ([], ["--strict"]):
        assert book_build.main(arguments) == 1
        (line,) = capfd.readouterr().err.splitlines()
        place = text.splitlines().index("1 / 0") + 1
        assert line.startswith("error: book/chapter: code cell 2 (line ")
        assert place - 4 <= int(line.split("(line ")[1].split(")")[0]) <= place
        assert f"has the tag {tag}" in line


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("value = 2", "glues nothing"),
        ("used = 2\nglue('a', used)", "use its used: "),
        ("from math import pi as used\nglue('a', used)", "use its used: "),
        ("def used(): ...\nglue('a', 1)", "use its used: "),
        ("for used in (1, 2):\n    glue(f'a{used}', used)", "use its used: "),
    ],
)
def test_a_removed_cell_glues_and_nothing_that_stays_needs_it(tmp_path: Path, code: str, message: str) -> None:
    text = FRONT + cell("glue = print") + cell(code, ":tags: [remove-cell]\n") + cell("print(used)")
    with pytest.raises(book_build.BuildError, match=rf"code cell 2 \(line \d+\) has the tag remove-cell.*{message}"):
        book_build.build(book(tmp_path / "tiny", {"chapter": text}))
    alone = (
        FRONT + cell("glue = print") + cell("other = 1\nglue(other)", ":tags: [remove-cell]\n") + cell("print(used)")
    )
    root = book(tmp_path / "fine", {"chapter": alone})
    assert not list(silent.refused_page("book/chapter", root / "book" / "chapter.md"))


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("mystnb: {execution_mode: 'off'}", "mystnb"),
        ("mystnb: {execution_allow_errors: true}", "mystnb"),
        ("mystnb: {execution_cache_path: elsewhere}", "mystnb"),
        ("execution: {allow_errors: true}", "execution"),
        ("execution: {timeout: 1}", "execution"),
    ],
)
def test_front_matter_that_changes_the_execution_is_refused(tmp_path: Path, line: str, name: str) -> None:
    text = FRONT.replace("kernelspec:", f"{line}\nkernelspec:") + cell("1 / 0")
    root = book(tmp_path / "tiny", {"chapter": text})
    with pytest.raises(book_build.BuildError, match=rf"^book/chapter: its front matter has '{name}'"):
        book_build.build(root)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("execute: {execute_notebooks: 'off'}", "execute_notebooks"),
        ("execute: {execute_notebooks: off}", "execute_notebooks"),
        ("execute: {allow_errors: true}", "allow_errors"),
        ("execute: {exclude_patterns: ['book/*']}", "exclude_patterns"),
        ("sphinx: {config: {nb_execution_mode: 'off'}}", "nb_execution_mode"),
        ("sphinx: {config: {nb_execution_allow_errors: true}}", "nb_execution_allow_errors"),
        ("sphinx: {config: {nb_execution_excludepatterns: ['book/*']}}", "nb_execution_excludepatterns"),
        ("sphinx: {config: {jupyter_execute_notebooks: 'off'}}", "jupyter_execute_notebooks"),
        ("sphinx: {config: {execution_allow_errors: true}}", "execution_allow_errors"),
    ],
)
def test_a_configuration_that_changes_the_execution_is_refused(tmp_path: Path, config: str, name: str) -> None:
    root = book(tmp_path / "tiny", {"chapter": FRONT + cell("1 / 0")}, config + "\n")
    with pytest.raises(book_build.BuildError, match=rf"^_config\.yml: {name} is "):
        book_build.build(root)


def test_a_page_of_another_format_is_refused(tmp_path: Path) -> None:
    root = book(tmp_path / "tiny", {"chapter": FRONT})
    (root / "book" / "chapter.md").rename(root / "book" / "chapter.ipynb")
    with pytest.raises(book_build.BuildError, match=r"^book/chapter\.ipynb: "):
        book_build.build(root)


def test_the_books_own_pages_and_configuration_are_not_refused() -> None:
    assert list(silent.refused(ROOT, yaml.safe_load((ROOT / "_config.yml").read_text()))) == []


THREAD = "import threading\n{} = threading.Thread(target={})\n{}.start(); {}.join()"
VAIN = "LookupError: in vain"
TASK = "import asyncio\nasync def fails():\n    raise LookupError('in vain')\n"
LOUD = {
    "thread": (THREAD.format("t", "lambda: 1 / 0", "t", "t"), "ZeroDivisionError: division by zero"),
    "library": (THREAD.format("t", "int, args=('x',)", "t", "t"), "ValueError: invalid literal"),
    "late": ("import threading\nthreading.Timer(0.3, lambda: 1 / 0).start()", "ZeroDivisionError: division by zero"),
    "task": (TASK + "asyncio.create_task(fails())\nawait asyncio.sleep(0.1)", VAIN),
    "kept": (TASK + "task = asyncio.create_task(fails())\nawait asyncio.sleep(0.1)", VAIN),
    "own loop": (
        TASK + "import threading, gc\nasync def main():\n    asyncio.create_task(fails()); await asyncio.sleep(0.1)\n"
        "t = threading.Thread(target=lambda: asyncio.run(main()))\nt.start(); t.join(); gc.collect()",
        VAIN,
    ),
    "finaliser": ("class Bad:\n    def __del__(self): raise LookupError('in vain')\nBad()\nNone", VAIN),
    "printed": ("import logging\ntry: 1 / 0\nexcept ArithmeticError: logging.exception('oh')", "ZeroDivisionError"),
    "child": ("import subprocess, sys\n_ = subprocess.run([sys.executable, '-c', '1 / 0'])", "ZeroDivisionError"),
    "inner": ("_ = get_ipython().run_cell('1 / 0')", "ZeroDivisionError: division by zero"),
}
QUIET = """\
import asyncio, sys, threading
from tqdm import tqdm
t = threading.Thread(target=sys.exit)
t.start(); t.join()
print("a note", file=sys.stderr)
for _ in tqdm(range(2)): pass
async def fails():
    raise LookupError
try:
    await asyncio.create_task(fails())
except LookupError:
    print("handled")
gone = asyncio.create_task(asyncio.sleep(10))
await asyncio.sleep(0)
gone.cancel()
"""


def test_what_fails_outside_its_cell_fails_the_build_with_page_and_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # ipykernel would leave alone what child processes print
    names = {name.replace(" ", "-"): code for name, (code, _) in LOUD.items()}
    chapters = {name: FRONT + cell("one = 1") + cell(code) for name, code in names.items()}
    chapters["quiet"] = FRONT + cell(QUIET)
    chapters["hidden"] = FRONT + cell(LOUD["thread"][0], ":tags: [remove-output]\n")
    root = book(tmp_path / "tiny", chapters)
    failed = execute.execute(root)
    assert sorted(failed) == sorted(f"book/{name}" for name in chapters if name != "quiet")
    for name, (_, what) in LOUD.items():
        said = failed[f"book/{name.replace(' ', '-')}"]
        assert "Traceback (most recent call last)" in said, name
        last = said.splitlines()[-1]
        assert "code cell 2: " in last, (name, last)
        assert what in last, (name, last)
    assert "code cell 1: ZeroDivisionError" in failed["book/hidden"]
    stored = execute.get_cache(root / "_build" / ".jupyter_cache").list_cache_records()
    assert [Path(record.uri).stem for record in stored] == ["quiet"]  # the others are executed again
    assert not list(root.rglob("*.stderr"))

    monkeypatch.setattr(book_build, "ROOT", root)
    monkeypatch.setattr(book_build, "execute", lambda _: {"book/thread": failed["book/thread"]})
    assert book_build.main([]) == 1
    *_, last = capfd.readouterr().err.splitlines()
    assert "book/thread: on stderr, by code cell 2: ZeroDivisionError" in last


IN_A_LIST = FRONT + "- a list\n\n  ```{code-cell}\n  1 / 0\n  ```\n"


@pytest.mark.parametrize("page", [IN_A_LIST, "# A page without front matter\n\n" + cell("1 / 0")])
def test_a_cell_that_would_not_be_executed_fails_the_plain_build(tmp_path: Path, page: str) -> None:
    root = book(tmp_path / "tiny", {"chapter": page})
    with pytest.raises(book_build.BuildError, match="cells did not run in 1 places"):
        book_build.build(root)
