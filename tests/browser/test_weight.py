"""No page weighs more than promised, its widgets and what they load on demand apart."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import weigh

from . import pages

STATE = json.dumps({"state": {"a": {"state": {"_esm": {"file": "m"}, "_files": {"digits": "digits"}, "label": "x y"}}}})
PAGE = f"""<!DOCTYPE html><title>x</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="../_static/a.css?v=1">
<script type="application/vnd.jupyter.widget-state+json">{STATE}</script>
<script src="../_static/a.js"></script><script src="../_static/widgets/m.js"></script>
<p>text</p><img src="../_images/p.svg"><a href="absent.html">x</a>"""
FILES = {
    "book/page.html": PAGE,
    "_static/a.css": '@import url("b.css");',
    "_static/b.css": "b{}",
    "_static/a.js": "let a = 1;",
    "_static/widgets/m.js": "let m = 1;",
    "_static/widgets/digits.js": "let digits = 1;",
    "_images/p.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def zipped(*names: str) -> int:
    return sum(weigh.zipped(FILES[name].encode()) for name in names)


def test_each_file_counts_once_under_its_kind(page, folder):
    with pages.serve(folder) as base:
        page.goto(f"{base}book/page.html")
        weight = weigh.weigh(page, folder)
    bare = weigh.zipped(PAGE.replace(STATE, "").encode())
    assert weight["text"] == bare + zipped("_static/a.css", "_static/b.css", "_static/a.js")
    inside = zipped("book/page.html") - bare
    assert weight["widgets"] == inside + zipped("_static/widgets/m.js", "_static/widgets/digits.js")
    assert weight["pictures"] == len(FILES["_images/p.svg"])
    assert weight["fonts"] == 0


def test_the_command_prints_and_judges(browser, folder):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, pages.ROOT / "tools" / "weigh.py", "--site", folder, "--loads", "1", *words]
        return subprocess.run(command, capture_output=True, text=True)

    del browser  # skipped where there is none
    assert "book/page" in run().stdout
    noise = random.Random(0).randbytes(weigh.LIMITS["text"]).hex()  # a hexadecimal digit zips to half a byte
    (folder / "_static" / "a.js").write_text(f"//{noise}")
    over = run("book/page")
    assert over.returncode == 1
    assert "book/page: text " in over.stdout
    assert run("absent").stderr == f"error: {folder} has no absent: run make book first\n"


def test_over_a_limit_a_page_is_named_with_its_number():
    assert weigh.complaints("a", Counter(weigh.LIMITS)) == []
    over = Counter(text=401_000, widgets=1_502_000, readable=1.25)
    assert weigh.complaints("b", over) == [
        "b: text 401,000, over 400,000",
        "b: widgets 1,502,000, over 1,500,000",
        "b: readable 1.25, over 1.0",
    ]


def test_no_page_is_over_its_weight(visit, html):
    if visit.page.query_selector(weigh.VIEW):
        visit.page.wait_for_selector("html[data-ganlib-widgets]", state="attached")
    assert weigh.complaints(visit.name, weigh.weigh(visit.page, html)) == []
