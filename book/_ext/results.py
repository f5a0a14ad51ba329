"""Numbers of committed results, and numbers that others published, as roles.

{result}`mnist-paper across_seeds.log_likelihood.mean .1f`
    A number of a committed result: file, dotted path, format (as in Python: .1f, .0%, ",.0f", d, e ...). A path may
    end at a figure or a summary, which stands for its value, mean or median; with ± in front of the format its spread
    is shown, too: 225.3 ± 2.1. The number's title says what it is, and from which file, run and commit.
{published}`225 ± 2 <goodfellow2014>`
    A number that others published, with the key of its source in references.bib.

What cannot be shown is a complaint that fails the build. That results are what they say is checked by the tests.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from complaints import look
from docutils import nodes
from pybtex.database import BibliographyData, parse_file  # type: ignore[import-untyped]
from pybtex.exceptions import PybtexError  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxRole

from ganlib.data.files import read_json
from ganlib.lab.committed import files

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

ASKED = re.compile(r"(?P<file>\S+)\s+(?P<path>\S.*?)\s+(?P<spread>±)?(?P<spec>\+?,?(?:\.\d+)?[defgs%])", re.DOTALL)
SOURCED = re.compile(r"(?P<number>.+?)\s*<(?P<key>[^<>]+)>", re.DOTALL)
# What stands for the whole: of a figure, of a summary over seeds, of one over rounds; and its spread.
WHOLE = (("value", "plus_minus"), ("mean", "standard_deviation"), ("median", ""))


class quoted_number(nodes.inline):  # type: ignore[misc]
    """A number from elsewhere; "title" says from where. Writers that do not know it write an inline."""


def near(name: object, names: Iterable[object]) -> str:
    """The nearest of ``names``, to end a message with."""
    listed = [str(each) for each in names]
    found = difflib.get_close_matches(str(name), listed, n=3, cutoff=0.4) or listed[:8]
    return f"the nearest are {', '.join(found)}" if found else "there is none"


@lru_cache(maxsize=64)
def read(path: Path, modified: int) -> Any:
    return read_json(path)


def find(root: Path, name: str) -> Path:
    """The committed result called ``name``: a file's name, with or without ``.json`` and folders in front of it.

    Raises
    ------
    ValueError
        If there is none (the nearest names are in the message) or more than one.
    """
    wanted = "/" + name.removesuffix(".json")
    found = [path for path in files(root) if f"/{path.relative_to(root).with_suffix('')}".endswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(path.relative_to(root)) for path in found)
        raise ValueError(f"{name!r} may be {listed}; put the folder in front of it")
    raise ValueError(f"no committed result {name!r}; {near(name, (path.stem for path in files(root)))}")


def at(value: Any, path: str, done: str = "") -> Any:
    """What is found at a dotted ``path``: names of entries, which may themselves hold dots, and places in lists.

    Raises
    ------
    ValueError
        If there is nothing; the message is of the longest way that could be gone, with the nearest names.
    """
    if not path:
        return value
    if isinstance(value, list):
        value = {str(place): each for place, each in enumerate(value)}
    if not isinstance(value, dict):
        raise ValueError(f"{done} is {value!r:.60} and has no entry {path!r}")
    failed = f"{done or 'it'} has no entry {path.partition('.')[0]!r}; {near(path, value)}"
    for key in value:
        if path == key or path.startswith(f"{key}."):
            try:
                return at(value[key], path[len(key) + 1 :], f"{done}.{key}".lstrip("."))
            except ValueError as error:
                failed = max(failed, str(error), key=lambda each: len(each.partition(" has no ")[0]))
    raise ValueError(failed)


def quoted(root: Path, text: str) -> tuple[str, str]:
    """What the role ``result`` shows, and where it comes from in words.

    Raises
    ------
    ValueError
        If the text is not a file, a path and a format, or there is no such file, path or number.
    """
    asked = ASKED.fullmatch(text.strip())
    if asked is None:
        raise ValueError("it is not a file, a path and a format (.1f, ,.0f, .0%, d, .1e, s, ±.1f ...)")
    path, where = find(root, asked["file"]), " ".join(asked["path"].split())
    content = read(path, path.stat().st_mtime_ns)
    if "published" in where.split("."):
        raise ValueError(f"{where} was not measured here; write {{published}} with the number and its source")
    value, spread, about = at(content, where), None, ""
    if isinstance(value, dict):
        names = next((names for names in WHOLE if names[0] in value), None)
        if names is None:
            raise ValueError(f"{where} is no number; it has {', '.join(map(str, value))}")
        value, spread, about = value[names[0]], value.get(names[1]), described(value, names)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{where} is {type(value).__name__} {value!r:.60}, no number")
    if asked["spread"] and not isinstance(spread, int | float):
        raise ValueError(f"{where} has no spread to show after ±; leave the ± out")
    try:
        shown = format(value, asked["spec"]) + (f" ± {format(spread, asked['spec'])}" if asked["spread"] else "")
    except ValueError as error:
        raise ValueError(f"{where} is {value!r}, which {asked['spec']!r} cannot show ({error})") from None
    return shown, "; ".join(filter(None, [about, f"{path.relative_to(root).as_posix()}, {where}", *made(content)]))


def described(found: dict[str, Any], names: tuple[str, str]) -> str:
    """A figure in words: its unit, how many it is of, what the ± is."""
    parts = [str(found["unit"])] if found.get("unit") else []
    if names[0] == "value" and found.get("n") is not None:
        parts.append(f"{found['n']:,} {found.get('n_is', '')}".strip())
        if found.get("plus_minus") is not None:
            parts.append(f"± is the {found.get('plus_minus_is')}")
    elif found.keys() >= {"mean", "standard_deviation", "n"}:
        parts.append(f"mean over {found['n']} seeds; ± is the standard deviation over seeds")
    elif names[0] == "mean":
        parts.append("mean")
    elif names[0] == "median":
        parts.append("median of the rounds")
    return "; ".join(parts)


def made(content: dict[str, Any]) -> Iterator[str]:
    """Run, study or benchmark, and the commit of each part that was put together."""
    kinds = [kind for kind in ("study", "run", "benchmark") if isinstance(content.get(kind), str)]
    yield from (f"{kind} {content[kind]}" for kind in kinds[:1])
    environments = [part.get("environment") or part.get("provenance") or {} for part in content.get("parts", [content])]
    if commits := sorted({str(each["commit"])[:10] for each in environments if each.get("commit")}):
        yield f"commit {', '.join(commits)}"


class Number(SphinxRole):
    """A role that shows a number and says where it comes from, or leaves in its place a node with a complaint."""

    def __init__(self, show: Callable[[BuildEnvironment, str], tuple[str, str]]) -> None:
        self.show = show

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            text, title = self.show(self.env, self.text)
            node: nodes.Element = quoted_number(text, text, classes=[self.name], title=title)
        except ValueError as error:
            message = f"{{{self.name}}}`{self.text}`: {error}"
            node = nodes.problematic(self.rawtext, self.rawtext, complaint=message)
        self.set_source_info(node)
        return [node], []


def result(env: BuildEnvironment, text: str) -> tuple[str, str]:
    root = Path(env.srcdir)
    for path in files(root):  # also the one that is missing now may come
        env.note_dependency(str(path))
    return quoted(root, text)


def published(env: BuildEnvironment, text: str) -> tuple[str, str]:
    sourced = SOURCED.fullmatch(text.strip())
    if sourced is None:
        raise ValueError("it names no source; end with <key>, a key of references.bib")
    key, known = sourced["key"].strip(), library(env.app)
    if key not in known:
        raise ValueError(f"no source {key!r}; {near(key, known)}")
    return sourced["number"], f"published by {known[key]}, not measured here"


def library(app: Sphinx) -> dict[str, str]:
    """The bibliography's keys, and each entry's authors and year in short."""
    found: dict[str, str] = {}
    for name in getattr(app.config, "bibtex_bibfiles", []):
        try:
            entries: BibliographyData = parse_file(str(Path(app.srcdir, name)))
        except (OSError, PybtexError):
            continue  # sphinxcontrib-bibtex says so
        for key, entry in entries.entries.items():
            people = [" ".join(person.last_names) for person in entry.persons.get("author", [])]
            who = people[0] + (" et al." if len(people) > 2 else f" and {people[1]}" if len(people) == 2 else "")
            found[key] = f"{re.sub(r'[{}]', '', who)} ({entry.fields.get('year', 'no year')})" if people else key
    return found


def unshown(document: nodes.document) -> Iterator[tuple[nodes.Node, str]]:
    return ((node, node["complaint"]) for node in document.findall(nodes.problematic) if "complaint" in node)


def visit(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "span", "", title=node["title"]))


def depart(self: Any, node: nodes.Element) -> None:
    self.body.append("</span>")


def setup(app: Sphinx) -> dict[str, Any]:
    look(app, "results", unshown)
    app.add_node(quoted_number, html=(visit, depart))
    app.add_role("result", Number(result))
    app.add_role("published", Number(published))
    return {"version": "1", "env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}
