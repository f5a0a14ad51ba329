"""tools/weigh.py counts each file a page loads once, under its kind, and exits with 1 over a limit."""

from __future__ import annotations

import gzip
import importlib.util
import json
import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("weigh", ROOT / "tools" / "weigh.py")
weigh = importlib.util.module_from_spec(spec)
sys.modules["weigh"] = weigh  # dataclasses look their module up
spec.loader.exec_module(weigh)

MODEL = {"_esm": {"file": "m-1"}, "_css": {"file": "s-1"}, "_files": {"digits": "digits-1"}, "label": "x y z " * 50}
STATE = json.dumps({"state": {"a": {"state": MODEL}, "b": {"state": {**MODEL, "_css": "", "label": "y"}}}})
PAGE = f"""<!DOCTYPE html><html><head>
<link rel="stylesheet" href="../_static/a.css?v=1"><link rel="stylesheet" media="print" href="../_static/print.css">
<link rel="icon" href="../_static/i.png"><link rel="next" href="absent.html"><script src="../_static/a.js"></script>
<script src="../_static/widgets/w.js" defer></script><script src="../_static/a.js"></script>
<script type="application/vnd.jupyter.widget-state+json">{STATE}</script>
</head><body>
<img src="../_images/p.png"><img src="data:image/png;base64,AA=="><a href="absent.html">x</a></body></html>"""
FILES = {
    "book/page.html": PAGE,
    "_static/a.css": '@import url("b.css");@font-face{src:url(f.woff)}',
    "_static/b.css": "b{}",
    "_static/print.css": "p{}",
    "_static/a.js": "let a = 1;",
    "_static/widgets/w.js": "let w = 1;",
    "_static/widgets/m-1.js": "let m = 1;",
    "_static/widgets/s-1.js": "let style = 1;",
    "_static/widgets/digits-1.js": "let digits = 1;",
    "_static/f.woff": "font",
    "_static/i.png": "icon",
    "_images/p.png": "picture",
    "_static/template.html": "<body></body>",
    "index.html": '<meta http-equiv="refresh" content="0; url=book/page.html">',
}


def packed(text: str) -> int:
    return len(gzip.compress(text.encode(), 6, mtime=0))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_pages_are_those_with_a_body(site: Path) -> None:
    assert weigh.pages(site) == ["book/page.html"]


def test_each_file_counts_once_under_its_kind(site: Path) -> None:
    weight = weigh.weigh(site, "book/page.html")
    bare = PAGE.replace(STATE, "")
    assert weight.text == packed(bare) + sum(packed(FILES[f"_static/{name}"]) for name in ("a.css", "b.css", "a.js"))
    loaded = sum(packed(FILES[f"_static/widgets/{name}.js"]) for name in ("w", "m-1", "s-1"))
    assert weight.widgets == packed(PAGE) - packed(bare) + loaded
    assert weight.on_demand == packed(FILES["_static/widgets/digits-1.js"])
    assert weight.pictures == len("icon") + len("picture")
    assert weight.fonts == 0  # which of its fonts a style sheet loads, only a browser knows
    assert set(weight.parts) == {
        "book/page.html",
        *(f"_static/{name}" for name in ("a.css", "b.css", "a.js")),
        *(f"_static/widgets/{name}.js" for name in ("w", "m-1", "s-1", "digits-1")),
    }


def test_what_a_browser_saw_counts_too_and_once(site: Path) -> None:
    bare, seen = (weigh.weigh(site, "book/page.html", also) for also in ((), ("_static/f.woff", "_static/a.js")))
    assert (seen.fonts, seen.text) == (len("font"), bare.text)
    pressed = weigh.weigh(site, "book/page.html", ("_static/widgets/digits-1.js",))
    assert (pressed.on_demand, pressed.widgets) == (bare.on_demand, bare.widgets)


@pytest.mark.parametrize("name", ["../_static/a.js", "_static/widgets/m-1.js", "_static/widgets/digits-1.js"])
def test_a_file_that_is_not_there_is_named(name: str, site: Path) -> None:
    (site / name.removeprefix("../")).unlink()
    with pytest.raises(FileNotFoundError, match=f"book/page.html loads {name}"):
        weigh.weigh(site, "book/page.html")


def test_other_sites_are_not_weighed(site: Path) -> None:
    assert weigh.local(site, "book/page.html", "https://example.org/_static/a.js") is None
    assert weigh.local(site, "book/page.html", "../_static/a.js?v=1#x") == "_static/a.js"


def test_over_a_limit_each_page_is_named_with_its_number() -> None:
    weights = {
        "a.html": weigh.Weight(text=400_000, widgets=500_000, on_demand=1_000_000),
        "b.html": weigh.Weight(text=401_000, widgets=501_000, on_demand=1_001_000),
    }
    timings = {"a.html": weigh.Timing(1.0, 2.0, []), "b.html": weigh.Timing(1.25, 0.1, [])}
    assert weigh.complaints(weights, timings) == [
        "b.html: 401 kB without widgets, over 400",
        "b.html: widgets add 1502 kB, over 1500",
        "b.html: readable after 1.25 s, over 1",
    ]


def test_the_command_prints_writes_and_judges(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--site", str(site), "--loads", "0", "--json", str(site / "out.json")]
    assert weigh.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "book/page.html" in printed
    assert "nothing was timed" in printed
    results = json.loads((site / "out.json").read_text())
    assert results["limits"]["page_bytes"] == weigh.PAGE_LIMIT
    assert results["pages"]["book/page.html"]["text"] == weigh.weigh(site, "book/page.html").text
    assert "commit" in results["environment"]
    noise = random.Random(0).randbytes(weigh.PAGE_LIMIT).hex()  # a hexadecimal digit zips to half a byte
    (site / "_static" / "a.js").write_text(noise)
    assert weigh.main(arguments) == 1
    assert "kB without widgets, over 400" in capsys.readouterr().out


def test_bad_arguments_are_refused(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert weigh.main(["--site", str(site / "nothing")]) == 2
    assert "run make book first" in capsys.readouterr().err
    assert weigh.main(["--site", str(site), "absent.html"]) == 2
    assert "has no page absent.html" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        weigh.main(["--loads", "-1"])
    assert "--loads is -1; it must be 0 or more" in capsys.readouterr().err


def test_without_a_browser_the_command_says_so(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)  # as where it is not installed
    assert weigh.main(["--site", str(site)]) == 2
    message = capsys.readouterr().err
    assert "playwright is not installed" in message
    assert "--loads 0 weighs without timing" in message


def test_a_browser_that_cannot_be_run_is_named(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("playwright", reason="playwright is not installed")
    monkeypatch.setenv("GANLIB_CHROMIUM", str(site / "absent"))
    assert weigh.main(["--site", str(site)]) == 2
    assert f"{site / 'absent'} cannot be run" in capsys.readouterr().err


def test_a_browser_times_the_page_and_says_what_it_loads(site: Path) -> None:
    # The loader starts once the page is loaded, as the book's own does.
    start = """addEventListener("load", () => setTimeout(() => {
      document.head.append(Object.assign(document.createElement("script"), { src: "../_static/widgets/m-1.js" }));
      document.head.lastChild.onload = () => { document.documentElement.dataset.ganlibWidgets = "ready"; };
    }, 200));"""
    (site / "_static" / "widgets" / "w.js").write_text(start)
    view = f'<p>text</p><script type="{weigh.VIEW}">{{"model_id": "a"}}</script></body>'
    (site / "book" / "page.html").write_text(PAGE.replace("</body>", view))
    try:
        with weigh.browser(site, 1) as time:
            timing = time("book/page.html")
    except weigh.NoBrowserError as error:
        pytest.skip(str(error))
    assert 0 < timing.readable < 60
    asked = {"_static/a.css", "_static/a.js", "_static/b.css", "_images/p.png", "_static/widgets/m-1.js"}
    assert asked <= set(timing.requests)
    assert "_static/widgets/digits-1.js" not in timing.requests
