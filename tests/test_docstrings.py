"""Every docstring of ganlib is what numpydoc and docutils take it for, and is shown so on the page of the API."""

from __future__ import annotations

import builtins
import importlib.util
import inspect
import io
import pkgutil
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import yaml
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser
from docutils.utils import new_document
from sphinx.ext.napoleon import Config, NumpyDocstring

import ganlib

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("docstrings", ROOT / "book" / "_ext" / "docstrings.py")
extension = importlib.util.module_from_spec(spec)
spec.loader.exec_module(extension)

# numpydoc's, in its order.
SECTIONS = (
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
)
SETTINGS = get_default_settings(Parser)  # docutils' own: it reports warnings
BOOK = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
NAPOLEON = Config(**{key: value for key, value in BOOK["config"].items() if key.startswith("napoleon_")})


class Documented(NamedTuple):
    name: str
    what: str
    object: Any
    text: str


def modules() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(ganlib.__path__, "ganlib.")]
    left_out = re.compile(r"\.tests\b|\.conftest$|__main__$")
    return ["ganlib", *(name for name in names if not left_out.search(name))]


def plain(member: Any) -> Any:
    """The function behind a method, a property or a cached function."""
    if isinstance(member, (classmethod, staticmethod)):
        member = member.__func__
    elif isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property):
        member = member.func
    return inspect.unwrap(member) if callable(member) else member


def documented(module: ModuleType) -> Iterator[Documented]:
    """The module, and what is defined in it and has a docstring of its own; a class's members after it."""
    todo = [(module.__name__, "module", module)]
    while todo:
        name, what, found = todo.pop(0)
        if found.__doc__:
            yield Documented(name, what, found, inspect.cleandoc(found.__doc__))
        if what == "function":
            continue
        for key, member in vars(found).items():
            member = plain(member)
            kind = "class" if inspect.isclass(member) else "function" if inspect.isfunction(member) else None
            if kind and member.__module__ == module.__name__ and member.__qualname__.rpartition(".")[2] == key:
                todo.append((f"{name}.{key}", kind, member))


def sections(text: str) -> dict[str, list[str]]:
    """The lines of each section, without its heading; what is before the first is under the empty name."""
    found: dict[str, list[str]] = {"": []}
    name, lines = "", text.splitlines()
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch(r"[-=~]{3,}", lines[i + 1]) and line.strip():
            name = line
            assert name not in found, f"two sections {name!r}"
            found[name] = []
        elif not (i and name and line and lines[i - 1] == name and re.fullmatch(r"[-=~]{3,}", line)):
            found[name].append(line)
    return found


def entries(lines: list[str]) -> list[tuple[str, list[str]]]:
    """The lines of a section that are not indented, each with the indented ones below it."""
    found: list[tuple[str, list[str]]] = []
    for line in filter(None, lines):
        if line.startswith(" "):
            assert found, f"the section starts indented: {line!r}"
            found[-1][1].append(line)
        else:
            found.append((line, []))
    return found


def accepted(item: Documented) -> set[str]:
    """The names that an entry of Parameters or Attributes may have."""
    try:
        names = set(inspect.signature(item.object).parameters)
    except (TypeError, ValueError):  # a module, or a class that takes what C code takes
        names = set()
    if item.what == "class":
        names |= {name for base in item.object.__mro__ for name in inspect.get_annotations(base)}
        names |= set(getattr(item.object, "class_trait_names", list)())
    return names


@cache
def exceptions() -> set[str]:
    """The names of Python's exceptions and of those that ganlib defines."""
    defined = [vars(builtins), *(vars(importlib.import_module(name)) for name in modules())]
    return {key for names in defined for key, value in names.items() if is_exception(value)}


def is_exception(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseException)


def names_an_exception(name: str) -> bool:
    try:
        return name in exceptions() or is_exception(pkgutil.resolve_name(name))
    except (ImportError, AttributeError, ValueError):
        return False


def complaints(item: Documented) -> Iterator[str]:
    """What is wrong with one docstring, a sentence each."""
    lines = item.text.splitlines()
    for i, line in enumerate(lines):
        under = lines[i + 1] if i + 1 < len(lines) else ""
        if re.fullmatch(r"[-=~]{3,}", under) and line.strip():
            if line not in SECTIONS:
                yield f"no section of numpydoc: {line!r}"
            if under != "-" * len(line):
                yield f"{line!r} is underlined with {under!r}"
            if i == 0 or lines[i - 1]:
                yield f"no blank line before {line!r}"
            if i + 2 >= len(lines) or not lines[i + 2]:
                yield f"nothing under {line!r}"
        elif line.rstrip(":") in SECTIONS:
            yield f"{line!r} is not underlined"
    found = sections(item.text)
    order = [SECTIONS.index(name) for name in found if name in SECTIONS]
    if order != sorted(order):
        yield f"sections are not in numpydoc's order: {', '.join(filter(None, found))}"
    for name, content in found.items():
        if name != "Examples" and any(line.lstrip().startswith(">>>") for line in content):
            yield f"an example under {name or 'no heading'!r}"
    for name in ("Parameters", "Attributes"):
        taken: set[str] = set()
        for line, below in entries(found.get(name, [])):
            names, _, text = line.partition(" : ")
            named = {parameter.lstrip("*") for parameter in names.split(", ")}
            if unknown := named - accepted(item):
                yield f"{name} names {unknown}, which the signature does not have"
            if again := named & taken:
                yield f"{name} names {again} twice"
            taken |= named
            within = re.findall(r"\b([a-z_]\w*) : ", " ".join([text, *below]))
            if buried := set(within) & accepted(item):
                yield f"{name} has {buried} within another entry"
    for line, below in entries(found.get("Raises", [])):
        for exception in line.split(", "):
            if not names_an_exception(exception):
                yield f"Raises names {exception!r}, which is no exception"
        if not below:
            yield f"Raises does not say when {line}"
    for line in found[""]:
        start = re.match(r"\s*([a-z_]\w*(?:, [a-z_]\w*)*) : ", line)
        if start and set(start[1].split(", ")) <= accepted(item):
            yield f"an entry under no heading: {line.strip()!r}"
    returned = entries(found.get("Returns", []))
    if len(returned) > 1 and not all(below for _, below in returned):
        yield f"Returns reads as {len(returned)} values, of which {[line for line, below in returned if not below]}"
    yield from unreadable(item)


def shown(item: Documented) -> NumpyDocstring:
    """The docstring as the page of the API shows it, in reStructuredText."""
    return NumpyDocstring(extension.apart(item.text.splitlines()), NAPOLEON, what=item.what)


def unreadable(item: Documented) -> Iterator[str]:
    """What docutils says of the docstring, and examples that it takes for text."""
    SETTINGS.warning_stream = said = io.StringIO()
    tree = new_document(item.name, SETTINGS)
    Parser().parse(str(shown(item)), tree)
    if said.getvalue():
        yield said.getvalue().strip()
    for text in tree.findall(nodes.Text):
        if ">>>" in text and not isinstance(text.parent, (nodes.doctest_block, nodes.literal_block, nodes.literal)):
            yield f"an example is shown as text: {text[:60]!r}"


@pytest.mark.parametrize("name", modules())
def test_docstrings_are_well_formed(name: str) -> None:
    module = importlib.import_module(name)
    found = list(documented(module))
    assert found, "not even the module says what it is"
    assert [f"{item.name}: {complaint}" for item in found for complaint in complaints(item)] == []


def load(name: str, split: str = "train", root: str | None = None) -> None:
    """Load.

    Parameters
    ----------
    name, root : "digits" (4,000 / 500 / 500, no
        download) or "mnist".
    split : "train" or : "test".

    Raises
    ------
    ValueError
        If it : is.

    Examples
    --------
    >>> load("a : b")
    """


def test_what_follows_a_name_is_its_description_and_no_type() -> None:
    said = str(shown(Documented("load", "function", load, inspect.cleandoc(load.__doc__))))
    fields = [line.strip() for line in said.splitlines()]
    assert ':Parameters: * **name, root** -- "digits" (4,000 / 500 / 500, no' in fields
    assert '* **split** -- "train" or : "test".' in fields
    assert ":raises ValueError: If it : is." in fields
    assert '>>> load("a : b")' in fields


def test_the_book_shows_docstrings_so() -> None:
    assert BOOK["local_extensions"]["docstrings"] == "book/_ext"
    assert "docstrings" in BOOK["config"]["extensions"]


BROKEN = {
    "an example under 'Raises'": "Raises\n------\nValueError\n    If so.\n\n>>> load('a')\n",
    "an example under 'no heading'": ">>> load('a')\n",
    "'Examples' is underlined": "Examples\n---\n>>> load('a')\n",
    "no section of numpydoc: 'Example'": "Example\n-------\n>>> load('a')\n",
    "'Raises' is not underlined": "Raises\n\nValueError\n    If so.\n",
    "no blank line before 'Raises'": "Text.\nRaises\n------\nValueError\n    If so.\n",
    "Parameters names {'nam'}": "Parameters\n----------\nnam : a name.\n",
    "Parameters has {'split'} within another entry": "Parameters\n----------\nname : of it. split : its part.\n",
    "an entry under no heading: 'name : of it.'": "name : of it.\n",
    "Raises names 'VaLueError'": "Raises\n------\nVaLueError\n    If so.\n",
    "Raises does not say when ValueError": "Raises\n------\nValueError\n",
    "Returns reads as 2 values": "Returns\n-------\nint\n    One.\nand so on.\n",
    "sections are not in numpydoc's order": "Examples\n--------\n>>> 1\n1\n\nNotes\n-----\nOf it.\n",
    "Inline emphasis start-string": "A *word.\n",
    "an example is shown as text": "Examples\n--------\nSo:\n>>> 1\n1\n",
}


@pytest.mark.parametrize("complaint", BROKEN)
def test_what_is_broken_is_found(complaint: str) -> None:
    text = f"Load.\n\n{BROKEN[complaint]}"
    said = "\n".join(complaints(Documented("load", "function", load, text)))
    assert complaint in said
