"""glue stores what the book's renderer reads, without importing it; importing ganlib stays light."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from ganlib import notebook


def run_in_ipython(code):
    """Data and metadata of what the code displays."""
    pytest.importorskip("IPython")
    program = (
        "from IPython.testing.globalipapp import start_ipython\n"
        "from IPython.utils.capture import capture_output\n"
        "shell = start_ipython()\n"
        f"with capture_output() as out:\n    exec({code!r})\n"
        "import json; print('\\nFOUND', json.dumps([[o.data, o.metadata] for o in out.outputs]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    (found,) = re.findall("^FOUND (.*)$", done.stdout, re.M)  # IPython 7 also writes the terminal's title
    return json.loads(found)


def test_in_a_notebook_setup_asks_for_sharp_figures_and_glue_stores_what_myst_nb_reads():
    code = (
        "from matplotlib_inline import backend_inline; from IPython.display import display\n"
        "backend_inline.set_matplotlib_formats = lambda *formats: display(dict(formats=formats), raw=True)\n"
        "from ganlib.notebook import glue, setup; setup('cpu'); glue('answer', 41.5)"
    )
    (formats, _), (data, metadata) = run_in_ipython(code)
    assert formats == {"formats": ["retina"]}
    assert metadata == {"scrapbook": {"name": "answer", "mime_prefix": "application/papermill.record/"}}
    assert data == {"application/papermill.record/text/plain": "41.5"}


def test_glue_outside_a_notebook_does_nothing():
    notebook.glue("answer", 1.0)


def test_glue_refuses_tensors():
    with pytest.raises(TypeError, match=r"glue\('x'\) got a Tensor"):
        notebook.glue("x", torch.zeros(1))


def test_setup_names_the_device_and_a_gpu_means_the_full_budget():
    assert notebook.setup("cpu") == torch.device("cpu")
    assert not notebook.on_gpu(torch.device("cpu"))
    assert notebook.on_gpu(torch.device("cuda"))


@pytest.mark.parametrize(
    ("found", "chapter", "says"),
    [
        ("cpu", "budgets", ["No GPU in use: the CPU", "small budget", "Change runtime type"]),
        ("cuda", "budgets", ["GPU found: a card", "full budget on it"]),
        ("cpu", "complete", ["No GPU in use: the CPU", "one budget"]),
        ("cuda", "complete", ["GPU found: a card", "one budget"]),
        ("cuda", "cpu", ["GPU found: a card", "asks for the CPU"]),
    ],
)
def test_the_gpu_check_says_what_was_found_and_what_will_run(found, chapter, says, monkeypatch, capsys):
    monkeypatch.delenv("GANLIB_DEVICE", raising=False)
    monkeypatch.setattr(notebook, "pick_device", lambda choice=None, report=True: torch.device(found))
    if found != "cpu":
        monkeypatch.setattr(notebook, "describe", lambda device: "a card")
    notebook.gpu_check(chapter)
    printed = capsys.readouterr().out
    assert all(words in printed for words in says)
    assert ("small budget" in printed) == (found == "cpu" and chapter == "budgets")


def test_the_gpu_check_names_the_variable_that_forces_a_device(monkeypatch, capsys):
    monkeypatch.setenv("GANLIB_DEVICE", "cpu")
    notebook.gpu_check("budgets")
    assert "GANLIB_DEVICE" in capsys.readouterr().out


def test_the_gpu_check_refuses_another_kind_of_chapter():
    with pytest.raises(ValueError, match="gpu_check got 'gpu'"):
        notebook.gpu_check("gpu")


def test_importing_ganlib_imports_nothing_heavy():
    program = "import sys, ganlib; print([m for m in ('torch', 'matplotlib', 'sympy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_imports_neither_torchvision_nor_matplotlib():
    """torchvision takes longer to import than torch, with its models and their compiler, and only files need it."""
    program = (
        "import sys, ganlib.lab.runner, ganlib.lab.cli.commands\n"
        "print([m for m in ('torchvision', 'matplotlib', 'sympy', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plain_python_needs_only_the_declared_dependencies_and_setup_starts_no_shell_there(tmp_path):
    """The core with torch, torchvision, numpy, matplotlib, sympy and tqdm alone; then with IPython, which waits."""
    program = (
        "import sys\n"
        "absent = 'mlxtend scipy sklearn pandas IPython ipywidgets myst_nb'.split()\n"
        "sys.modules.update(dict.fromkeys(absent))\n"
        "import ganlib.theory, ganlib.proofs, ganlib.losses, ganlib.nets, ganlib.sampling, ganlib.data, ganlib.toys\n"
        "import ganlib.device, ganlib.algorithm1, ganlib.nets.paper, ganlib.dirac, ganlib.figures\n"
        "import ganlib.metrics.parzen, ganlib.metrics.modes, ganlib.metrics.neighbours, ganlib.metrics.two_sample\n"
        "from ganlib.notebook import glue, setup\n"
        "setup('cpu'); glue('x', 1.0)\n"
        "for name in absent: del sys.modules[name]\n"
        "setup('cpu'); glue('x', 1.0)\n"
        "assert 'IPython.core.interactiveshell' not in sys.modules\n"
        "from IPython.core.interactiveshell import InteractiveShell; setup('cpu'); glue('x', 1.0)\n"
        "assert not InteractiveShell.initialized()\n"
    )
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    subprocess.run([sys.executable, "-c", program], check=True, env=elsewhere | home)
    assert {path.name for path in tmp_path.iterdir()} <= {"matplotlib"}


def test_a_result_is_named_with_or_without_its_folder(tmp_path, monkeypatch):
    for folder in ("book", "benchmarks"):
        results = tmp_path / folder / "results"
        results.mkdir(parents=True)
        (results / "one.json").write_text(f'{{"of": "{folder} ± 0"}}', encoding="utf-8")
    monkeypatch.setenv("GANLIB_RESULTS", str(tmp_path))
    assert notebook.committed("one.json") == tmp_path / "book" / "results" / "one.json"
    assert notebook.committed_result("one") == {"of": "book ± 0"}
    assert notebook.committed_result("benchmarks/results/one") == {"of": "benchmarks ± 0"}
