"""The exported notebooks: what becomes of each directive and role, their addresses, and that they repeat."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import sphinx_pages
from markdown_it import MarkdownIt
from sphinx.errors import ExtensionError
from sphinx_pages import extension

ROOT = Path(__file__).resolve().parents[1]
addresses = extension("notebook_addresses")
latex = extension("markdown_latex")
plain = extension("plain_markdown")
notebooks = extension("notebooks")

FRONT = "---\nfile_format: mystnb\nkernelspec: {display_name: Python 3, language: python, name: python3}\n---\n"
CHAPTER = r"""
(chap-one)=
# Chapter with $x$

Text with *emphasis*, **strength**, `code with | bar`, 5 \* 3, a_b, 7 < 8, \$5 and $\pdata \ll \norm{x}$.
See {eq}`eq-one`, {numref}`Table %s <tab-one>`, {ref}`sec-second`, {doc}`two`,
{ref}`the other <sec-other>`, {prf:ref}`thm-one`, {cite:t}`knuth1984`, {cite:p}`knuth1984`, {eq}`eq-two`,
[out there](https://example.org/a), [anchored](#sec-second).

$$
\pdata(x)
  <a + b
$$ (eq-one)

```{admonition} A **title** of one's own
:class: tip
Inside:

$$
\begin{aligned}
u &= v \\
w &= t
\end{aligned}
$$

- first
- second
```

```{note}
Plain note.
```

```{admonition} Open me
:class: dropdown
Hidden text.
```

> A quotation of $z$.

```{prf:theorem} Of the paper
:label: thm-one
It holds that $1 = 1$.
```

```{prf:proof}
Clear.
```

```{exercise}
:label: ex-one
Compute $2 + 2$.
```

````{solution} ex-one
:class: dropdown
It is 4.

```python
2 + 2
```
````

```{list-table} Of things
:name: tab-one
:header-rows: 1

* - Name
  - Formula
* - bar | code `a|b`
  - $p \| q$, $|x|$
* - two

    paragraphs
  - three
```

| a | b |
|---|---|
| {eq}`eq-one` | $x \mid y$ |

1. one
2. two

   $$
   p
    + q
   $$

3. three

```{code-cell} ipython3
:tags: [hide-input]
first = 1
```

```{code-cell} ipython3
:tags: [hide-input, scroll-output]
second = 2
```

```{code-cell} ipython3
:tags: [remove-output]
third = 3
```

(sec-second)=
## Second section

Value {glue:text}`answer:.2f`.

```console
$ make $HOME
```

```{code-cell} ipython3
from ganlib.notebook import on_gpu
budget = 9 if on_gpu(device) else 1
```
"""
OTHER = """
# Two

(sec-other)=
## Other

$$
e
$$ (eq-two)

No code here.

```{bibliography}
```
"""
BIB = "@book{knuth1984, author={Donald Knuth}, title={The TeXbook}, year={1984}, publisher={AW}}\n"
CONF = """
extensions = ["myst_nb", "sphinx_proof", "sphinx_exercise", "sphinx_design", "sphinx_togglebutton",
              "sphinxcontrib.bibtex", "sphinx_external_toc", "sphinx_multitoc_numbering", "notebooks"]
project = html_title = "A Book"
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
nb_execution_mode = "off"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
numfig = True
use_multitoc_numbering = True
external_toc_path = "_toc.yml"
external_toc_exclude_missing = True
mathjax3_config = {"tex": {"macros": {"pdata": r"p_{\\mathrm{data}}", "norm": [r"\\|#1\\|", 1]}}}
"""
TOC = "format: jb-book\nroot: index\nparts:\n- numbered: true\n  chapters:\n  - file: one\n  - file: two\n"


def write_package(folder: Path) -> None:
    """A package called ganlib in the folder of the book."""
    build = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    (folder / "pyproject.toml").write_text(f'{build}[project]\nname = "ganlib"\nversion = "7.0"\n')
    (folder / "README.md").write_text("")
    (folder / "LICENSE").write_text("")
    (folder / "ganlib" / "__pycache__").mkdir(parents=True)
    (folder / "ganlib" / "__init__.py").write_text("")


def write_book(folder: Path, chapter: str = CHAPTER, other: str = OTHER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_toc.yml").write_text(TOC)
    (folder / "references.bib").write_text(BIB)
    (folder / "index.md").write_text("# Start\n")
    (folder / "one.md").write_text(FRONT + chapter)
    (folder / "two.md").write_text(other)


def build(folder: Path, **settings: object) -> tuple[dict, str]:
    """Build the book in ``folder``; the notebook of its first chapter, and what Sphinx warned of."""
    pages, warnings = sphinx_pages.build(folder, CONF, **settings)
    return json.loads((pages / "_notebooks" / "one.ipynb").read_text()), warnings


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GANLIB_REPOSITORY", "GANLIB_BRANCH", "GANLIB_BOOK_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, str, Path]:
    """The notebook, all its Markdown, and the folder of the book; the book's and the repository's address are known."""
    folder = tmp_path_factory.mktemp("book")
    write_book(folder)
    write_package(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GANLIB_REPOSITORY", "GANLIB_BRANCH", "GANLIB_BOOK_URL"):
            patch.delenv(name, raising=False)
        settings = {"html_baseurl": "https://books.example/gan", "ganlib_repository": "https://github.com/o/r"}
        notebook, warnings = build(folder, **settings)
    # {glue:text} names a value no cell computed (cells are not executed here); nothing else may be complained of.
    complaints = [line for line in warnings.splitlines() if "WARNING" in line and "glue" not in line.lower()]
    assert complaints == []
    return notebook, "\n\n".join(source(notebook, "markdown")), folder


def source(notebook: dict, kind: str) -> list[str]:
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_it_is_a_valid_notebook(exported: tuple) -> None:
    notebook, _, _ = exported
    nbformat.validate(nbformat.from_dict(notebook))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(
        not cell["outputs"] and cell["execution_count"] is None for cell in notebook["cells"] if "outputs" in cell
    )


@pytest.mark.parametrize(
    "expected",
    [
        "# 1. Chapter with $x$",
        "## 1.1. Second section",
        "*emphasis*, **strength**, `code with | bar`, 5 \\* 3, a_b, 7 &lt; 8, \\$5",
        "$p_{\\mathrm{data}} \\ll \\|x\\|$",
        "See [(1.1)](#), [Table 1.1](#), [Second section](#)",
        "[Two](https://books.example/gan/two.html)",
        "[the other](https://books.example/gan/two.html#sec-other)",
        "[Theorem 1.1](#)",
        "[(2.1)](https://books.example/gan/two.html#equation-eq-two)",
        "[out there](https://example.org/a)",
        "[anchored](#)",
        "$$\np_{\\mathrm{data}}(x)\n  < a + b\n\\tag{1.1}\n$$",
        "> **A title of one’s own**\n>\n> Inside:",
        "> $$\\begin{aligned} u &= v \\\\ w &= t \\end{aligned}$$\n>\n> - first\n> - second",
        "> **Note**\n>\n> Plain note.",
        "<details>\n<summary>Open me</summary>\n\nHidden text.\n\n</details>",
        "> A quotation of $z$.",
        "> **Theorem 1.1** (Of the paper)\n>\n> It holds that $1 = 1$.",
        "> *Proof.* Clear.",
        "**Exercise 1.1**\n\nCompute $2 + 2$.",
        "<details>\n<summary>Solution to Exercise 1.1</summary>\n\nIt is 4.\n\n```python\n2 + 2\n```\n\n</details>",
        "| Name | Formula |\n| --- | --- |\n| bar \\| code `a\\|b` | $p \\Vert q$, $\\vert x\\vert$ |",
        "| two<br>paragraphs | three |",
        "**Table 1.1.** Of things",
        "| [(1.1)](#) | $x \\mid y$ |",
        "1. one\n\n2. two\n\n   $$p + q$$\n\n3. three",
        "```console\n$ make $HOME\n```",
        "**References**\n\n- Donald Knuth. The TeXbook. AW, 1984.",
    ],
)
def test_each_directive_and_role_becomes_plain_markdown(exported: tuple, expected: str) -> None:
    text = re.sub(r"\(#scrollTo=markdown-\d+\)", "(#)", exported[1])  # which cell: see below
    assert expected in text


def test_nothing_of_myst_and_no_dead_anchor_is_left(exported: tuple) -> None:
    text = exported[1]
    assert not re.search(r"\{[\w:-]+\}`|^ *:::|^ *`{3,}\{", text, re.M)
    linked = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert linked
    assert linked <= set(re.findall(r'<a id="([^"]+)">', text))
    assert not re.search(r"\\(pdata|norm)\b|\\label", text)


def test_all_code_is_there_in_order_with_its_tags(exported: tuple) -> None:
    cells = [cell for cell in exported[0]["cells"] if cell["cell_type"] == "code"]
    assert [cell["metadata"]["tags"] for cell in cells[:2]] == [["ganlib-install"], ["ganlib-gpu-check"]]
    assert [cell["source"] for cell in cells[2:5]] == ["first = 1", "second = 2", "third = 3"]
    assert [cell["metadata"]["tags"] for cell in cells[2:5]] == [
        ["hide-input"],
        ["hide-input", "scroll-output"],
        ["remove-output"],
    ]
    assert all(cell["metadata"]["cellView"] == "form" for cell in cells[2:4])
    assert all(cell["metadata"]["jupyter"] == {"source_hidden": True} for cell in cells[2:4])
    assert cells[5]["source"].endswith("budget = 9 if on_gpu(device) else 1")
    assert cells[5]["metadata"].keys() == {"id"}


def test_the_first_cells_say_what_it_is_install_and_check(exported: tuple) -> None:
    notebook, _, _ = exported
    first, install, check = notebook["cells"][:3]
    assert first["source"].startswith("# 1. Chapter with $x$\n\n> This notebook is a page of *A Book*")
    assert "https://books.example/gan/one.html" in first["source"]
    (wheel,) = (exported[2] / "_build" / "html" / "_notebooks").rglob("*.whl")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert wheel.parts[-3:] == ("wheels", sha256[:16], "ganlib-7.0-py3-none-any.whl")
    there = "https://raw.githubusercontent.com/o/r"
    place = f"_notebooks/wheels/{sha256[:16]}/{wheel.name}#sha256={sha256}"
    assert f'wanted.insert(0, "{there}/notebooks/{place}")' in install["source"]
    assert f'os.environ.setdefault("GANLIB_RESULTS", "{there}/main")' in install["source"]
    assert check["source"].endswith('gpu_check("budgets")')
    assert notebook["metadata"]["accelerator"] == "GPU"


def test_the_same_sources_give_the_same_bytes(exported: tuple, tmp_path: Path) -> None:
    _, _, folder = exported
    write_book(tmp_path / "again")
    write_package(tmp_path / "again")
    build(tmp_path / "again", html_baseurl="https://books.example/gan/", ganlib_repository="git@github.com:o/r.git")
    names = [place / "_build" / "html" / "_notebooks" / "one.ipynb" for place in (folder, tmp_path / "again")]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_links_within_the_notebook_lead_to_cells(exported: tuple) -> None:
    """Colab follows ``#scrollTo=ID`` alone, with the id in the cell's metadata."""
    notebook, text, _ = exported
    cells = {cell["metadata"]["id"]: cell for cell in notebook["cells"]}
    assert [cell["id"] for cell in notebook["cells"]] == list(cells)
    targets = re.findall(r"\]\(#([^)]*)\)", text)
    assert len(set(targets)) > 1
    for target in targets:
        home = cells[target.removeprefix("scrollTo=")]["source"]
        assert home.count(f'<a id="{target}"></a>') == 1
    assert set(re.findall(r'<a id="([^"]*)"', text)) == set(targets)
    (second,) = re.findall(r"\[anchored\]\(#scrollTo=([^)]*)\)", text)
    assert "Second" in cells[second]["source"].splitlines()[2]


def test_without_addresses_links_stay_in_the_book_and_the_install_cell_takes_what_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_book(tmp_path / "book")
    notebook, _ = build(tmp_path / "book")
    text = "\n".join(source(notebook, "markdown"))
    assert "the page [one.html](../one.html)" in text
    pages = re.findall(r"\]\((\.\./[^)#]*)", text)
    assert "../two.html" in pages
    for page in pages:
        assert (tmp_path / "book" / "_build" / "html" / "_notebooks" / page).is_file()
    install = notebook["cells"][1]["source"]
    assert "http" not in install
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"Put a clone of the repository.*Or upload ganlib-\*\.whl"):
        Shell(set()).run(install)
    there = Shell({"ganlib", *notebooks.SMALL} - {"anywidget", "psygnal"})
    there.run(install)
    assert there.commands == ["install --quiet --no-deps anywidget psygnal"]
    Path("ganlib-7.0-py3-none-any.whl").touch()
    uploaded = Shell({*notebooks.SMALL})
    uploaded.run(install)
    assert uploaded.commands == ['install --quiet --no-deps "./ganlib-7.0-py3-none-any.whl"']
    Path("my clone").mkdir()
    write_package(Path("my clone"))
    cloned = Shell({*notebooks.SMALL})
    cloned.run(install)
    assert cloned.commands == ['install --quiet --no-deps "./my clone"']


def test_where_files_cannot_be_fetched_from_a_clone_is_asked_for(tmp_path: Path) -> None:
    config = type("Config", (), {"ganlib_repository": "https://gitlab.com/o/r", "ganlib_branch": "main"})()
    config.ganlib_notebooks_branch = "notebooks"
    cell = notebooks.install(config, notebooks.Wheel("ganlib-7.0-py3-none-any.whl", "wheels/x"))
    assert "a clone of https://gitlab.com/o/r beside" in cell
    assert "raw" not in cell


def test_a_wheel_that_cannot_be_built_is_an_error_with_pips_words(tmp_path: Path) -> None:
    write_package(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[build-system]\nrequires = [")
    with pytest.raises(ExtensionError, match=r"(?s)ganlib's wheel could not be built: .*TOMLDecodeError"):
        notebooks.build_wheel(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_node_without_a_rule_is_reported_and_its_text_kept(tmp_path: Path) -> None:
    unknown = "\nTerm\n: Kept text.\n\n\\begin{align}\na &= b\n\\end{align}\n"
    write_book(tmp_path, chapter=CHAPTER + unknown)
    notebook, warnings = build(tmp_path)
    for node in ("definition_list", "math_block"):
        assert f"the exported notebook has no rule for the node {node}" in warnings
    assert "Kept text." in "\n".join(source(notebook, "markdown"))


def test_the_notebook_of_a_chapter_that_lost_its_code_is_removed(tmp_path: Path) -> None:
    write_book(tmp_path)
    build(tmp_path)
    assert (tmp_path / "_build" / "html" / "_notebooks" / "one.ipynb").is_file()
    write_book(tmp_path, chapter="\n# Words\n")
    with pytest.raises(FileNotFoundError):
        build(tmp_path)


# The install cell


class Shell:
    """What IPython does with the install cell's %pip line, in an environment that has only ``there``."""

    def __init__(self, there: set[str]) -> None:
        self.there, self.commands = there, []

    def run(self, cell: str) -> None:
        code = re.sub(r"^( *)%pip (.*)$", r'\1pip(f"\2")', cell, flags=re.M)
        code = code.replace("from importlib.util import find_spec", "")
        exec(code, {"find_spec": lambda name: name if name in self.there else None, "pip": self.commands.append})


def test_pip_is_told_to_add_and_never_to_resolve(exported: tuple) -> None:
    cell = exported[0]["cells"][1]["source"]
    colab = Shell({"torch", "torchvision", "numpy", "scipy", "sympy", "mpmath", "tqdm", "mlxtend", "safetensors"})
    colab.run(cell)
    (command,) = colab.commands
    words = command.split()
    assert words[:3] == ["install", "--quiet", "--no-deps"]
    missing = ["anywidget", "lightning_utilities", "psygnal", "torchmetrics"]
    assert words[3].startswith("https://raw.githubusercontent.com/o/r/notebooks/_notebooks/wheels/")
    assert words[4:] == missing
    # Even on a machine with nothing, these three are not asked for.
    bare = Shell(set())
    bare.run(cell)
    assert not {"torch", "torchvision", "numpy"} & set(bare.commands[0].split())
    there = Shell({"ganlib", *notebooks.SMALL})
    there.run(cell)
    assert there.commands == []
    half = Shell({"ganlib", *notebooks.SMALL} - {"anywidget"})
    half.run(cell)
    assert half.commands == ["install --quiet --no-deps anywidget"]


def test_pip_leaves_torch_and_numpy_alone(tmp_path: Path) -> None:
    """With --no-deps pip takes a package that asks for another torch and numpy, and nothing else."""
    package = tmp_path / "needy"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "needy"\nversion = "1"\ndependencies = ["torch>=999", "numpy<0.1"]\n'
        "[tool.setuptools]\npy-modules = []\n"
    )
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-index", "--no-build-isolation"]
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    run = {"capture_output": True, "text": True, "env": environment}
    report = tmp_path / "report.json"
    done = subprocess.run([*pip, "--no-deps", "--report", str(report), str(package)], **run)
    if "No module named pip" in done.stderr:
        pytest.skip("this environment has no pip")
    assert done.returncode == 0, done.stderr
    assert [entry["metadata"]["name"] for entry in json.loads(report.read_text())["install"]] == ["needy"]
    assert subprocess.run([*pip, str(package)], **run).returncode != 0


def test_the_install_cell_names_only_what_ganlib_declares_or_that_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["notebook"]
    names = {re.match(r"[\w-]+", entry)[0] for entry in declared}
    # What Colab has for certain is left out; what anywidget, sympy and torchmetrics import is put in.
    assert names - {"torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "filelock"} == set(notebooks.SMALL) - {
        "psygnal",
        "mpmath",
        "lightning_utilities",
    }


# Addresses


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/o/r", "https://github.com/o/r"),
        ("https://github.com/o/r.git/", "https://github.com/o/r"),
        ("https://user:secret@github.com/o/r.git", "https://github.com/o/r"),
        ("https://token@GitHub.com/o/r", "https://github.com/o/r"),
        ("git@github.com:o/r.git", "https://github.com/o/r"),
        ("ssh://git@github.com:22/o/r.git", "https://github.com/o/r"),
        ("git://github.com/o/r", "https://github.com/o/r"),
        ("https://gitlab.com/group/sub/r.git", "https://gitlab.com/group/sub/r"),
        ("/srv/git/r.git", ""),
        ("../r", ""),
        ("file:///srv/git/o/r", ""),
        ("C:/work/o/r", ""),
        ("https://github.com/o", ""),
        ("https://localhost/o/r", ""),
        ("https://github.com/o/r?x=$(id)", "https://github.com/o/r"),
        ("https://github.com/o/r;id", ""),
        ("https://github.com/o r/x", ""),
        ("https://[github.com/o/r", ""),
        ("", ""),
    ],
)
def test_a_remote_becomes_a_plain_address_or_nothing(remote: str, address: str) -> None:
    assert addresses.normalise(remote) == address


def repository_with(folder: Path, remote: str) -> Path:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "config", "remote.origin.url", remote], check=True)
    return folder


def test_the_environment_wins_over_the_remote_and_the_remote_over_the_configuration(tmp_path: Path) -> None:
    folder = repository_with(tmp_path, "https://me:secret@github.com/remote/r.git")
    configured = "https://github.com/configured/r"
    assert addresses.repository(configured, folder, {}) == "https://github.com/remote/r"
    environment = {"GANLIB_REPOSITORY": "git@github.com:environment/r.git"}
    assert addresses.repository(configured, folder, environment) == "https://github.com/environment/r"
    assert addresses.repository(configured, folder, {"GANLIB_REPOSITORY": " "}) == "https://github.com/remote/r"
    assert addresses.repository(configured, folder, {"GANLIB_REPOSITORY": "none"}) == ""


@pytest.mark.parametrize("remote", ["/srv/mirror/o/r", "https://git.inside.example/o/r.git"])
def test_a_remote_no_reader_can_reach_is_ignored(remote: str, tmp_path: Path) -> None:
    folder = repository_with(tmp_path, remote)
    assert addresses.repository("https://github.com/configured/r", folder, {}) == "https://github.com/configured/r"
    assert addresses.repository("", folder, {}) == ""


def test_the_remote_of_a_repository_around_the_book_is_not_the_books(tmp_path: Path) -> None:
    inner = repository_with(tmp_path, "https://github.com/outer/r") / "inner"
    inner.mkdir()
    assert addresses.repository("", inner, {}) == ""


def test_a_bad_address_is_refused_without_repeating_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ExtensionError, match=r"GANLIB_REPOSITORY is 'o/r': give https://github\.com/OWNER/REPOSITORY"):
        addresses.repository("", tmp_path, {"GANLIB_REPOSITORY": "o/r"})
    with pytest.raises(ExtensionError) as error:
        addresses.repository("https://me:secret@github.com", tmp_path, {})
    assert "secret" not in str(error.value)
    with pytest.raises(ExtensionError, match="give the name of a branch"):
        addresses.branch("ganlib_branch", "main; id")
    with pytest.raises(ExtensionError, match="takes https"):
        addresses.book("books.example", {})


def test_the_books_address_ends_in_one_slash_and_the_environment_wins() -> None:
    assert addresses.book("https://a.example/b", {}) == "https://a.example/b/"
    assert addresses.book("https://a.example/b/", {"GANLIB_BOOK_URL": "https://c.example"}) == "https://c.example/"
    assert addresses.book("", {}) == ""


def test_colab_opens_what_is_published_on_the_notebooks_branch() -> None:
    assert (
        addresses.colab("https://github.com/o/r", "notebooks", "one")
        == "https://colab.research.google.com/github/o/r/blob/notebooks/_notebooks/one.ipynb"
    )
    assert addresses.colab("https://gitlab.com/o/r", "notebooks", "one") == ""
    assert addresses.colab("", "notebooks", "one") == ""


def buttons(repository: str) -> dict[str, str]:
    config = type("Config", (), {"ganlib_repository": repository, "ganlib_notebooks_branch": "notebooks"})()
    found = notebooks.buttons(config, "one", lambda path, resource: f"../{path}")
    return {button["text"]: button["url"] for button in found}


def test_the_colab_button_is_there_only_when_colab_can_open_the_notebook() -> None:
    assert list(buttons("https://github.com/o/r")) == ["Colab", "Notebook"]
    for elsewhere in ("", "https://gitlab.com/o/r"):
        assert buttons(elsewhere) == {"Notebook": "../_notebooks/one.ipynb"}


# LaTeX and Markdown


@pytest.mark.parametrize(
    ("code", "expanded"),
    [
        (r"\pg", "p_{g}"),
        (r"\pgx \pg x", r"\pgx p_{g} x"),
        (r"\\pg", r"\\pg"),
        (r"\\\pg", r"\\p_{g}"),
        (r"\norm{a{b}}", r"\|a{b}\|"),
        (r"\norm x", r"\|x\|"),
        (r"\norm\alpha", r"\|\alpha\|"),
        (r"\norm{\pg}", r"\|p_{g}\|"),
        (r"\arrow A", r"\to A"),
        (r"\both{1}{2}", r"2,1"),
    ],
)
def test_macros_are_expanded_as_tex_does(code: str, expanded: str) -> None:
    macros = {"pg": "p_{g}", "norm": [r"\|#1\|", 1], "arrow": r"\to", "both": ["#2,#1", 2]}
    assert latex.expand(code, macros) == expanded


@pytest.mark.parametrize("macros", [{"a": r"\a"}, {"a": r"\b", "b": r"\a"}, {"a": ["#1", 1, "x"]}])
def test_macros_that_cannot_be_expanded_are_refused(macros: dict) -> None:
    with pytest.raises(ValueError, match="macro"):
        latex.expand(r"\a", macros)


def test_formulas_survive_markdown() -> None:
    assert latex.inline(" a\n b % no\n", {}) == "$a b$"
    assert latex.inline(r"p \| q | r", {}, table=True) == r"$p \Vert q \vert r$"
    assert latex.inline("a\\ ", {}) == "$a\\ {}$"
    assert latex.inline("x<y", {}) == "$x< y$"
    assert latex.display("a \\\\ b", {}, "1", one_line=True) == r"$$\begin{aligned}a \\ b\end{aligned} \tag{1}$$"


@pytest.mark.parametrize(
    "text",
    ["*a* _b_ `c`", "[a](b)", "a<b>c", "$1 and $2", r"back\slash \(x\)", "&lt;", "~~gone~~", "[^1]", "snake_case_name"],
)
def test_escaped_text_reads_as_written(text: str) -> None:
    rendered = MarkdownIt("commonmark").enable("strikethrough").render(plain.escape(text))
    assert re.fullmatch(r"<p>[^<]*</p>\n", rendered)
    assert html.unescape(rendered[3:-5]) == text


def test_code_with_backticks_stays_code() -> None:
    assert plain.code_span("a`b") == "``a`b``"
    assert plain.fenced("```\nx\n```").startswith("````\n")
