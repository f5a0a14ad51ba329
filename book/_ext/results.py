"""Numbers of committed results and numbers others published, as roles; and the check of every committed result.

{result}`mnist-paper across_seeds.log_likelihood.mean .1f`
    A number of a committed result: file, dotted path, format (as in Python: .1f, .0%, ",.0f", d, e ...). A path may
    end at a figure or a summary, which stands for its value, mean or median; with ± in front of the format its spread
    is shown, too: 225.3 ± 2.1. The number's title says what it is, and from which file, run and commit.
{published}`225 ± 2 <goodfellow2014>`
    A number that others published, with the key of its source in references.bib. Without the key it needs a citation,
    or the paper's name, in its section.

A result that cannot be shown is a complaint that fails the build; so is a committed result that is not what it says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from committed_results import at, files, find, near, read
from complaints import note
from docutils import nodes
from pybtex.database import BibliographyData, parse_file  # type: ignore[import-untyped]
from pybtex.exceptions import PybtexError  # type: ignore[import-untyped]
from result_checks import problems
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

if TYPE_CHECKING:
    from sphinx.application import Sphinx

logger = logging.getLogger(__name__)

ASKED = re.compile(r"(?P<file>\S+)\s+(?P<path>\S.*?)\s+(?P<format>\S+)", re.DOTALL)
FORMAT = re.compile(r"(?P<spread>±)?(?P<spec>\+?,?(?:\.\d+)?[defgs%])")
SOURCED = re.compile(r"(?P<number>.+?)\s*<(?P<key>[^<>]+)>", re.DOTALL)
# What stands for the whole: of a figure, of a summary over seeds, of one over rounds; and its spread.
WHOLE = (("value", "plus_minus"), ("mean", "standard_deviation"), ("median", ""))


class quoted_number(nodes.inline):  # type: ignore[misc]
    """A number from elsewhere; "title" says from where. Writers that do not know it write an inline."""


def quoted(root: Path, text: str) -> tuple[str, str, Path]:
    """What the role ``result`` shows, where it comes from in words, and the file.

    Raises
    ------
    ValueError
        If the text is not a file, a path and a format, or there is no such file, path or number.
    """
    asked = ASKED.fullmatch(text.strip())
    if asked is None:
        raise ValueError(f"{text!r} is not a file, a path and a format, such as `floor ratios.fp32 / bf16.median .2f`")
    form = FORMAT.fullmatch(asked["format"])
    if form is None:
        raise ValueError(f"{asked['format']!r} is no format; end with one such as .1f, ,.0f, .0%, d, .1e, s or ±.1f")
    path = find(root, asked["file"])
    content = read(path)
    where = " ".join(asked["path"].split())
    if "published" in where.split("."):
        raise ValueError(
            f"{path.name}: {where} was not measured here; write {{published}} with the number and its source"
        )
    try:
        found = at(content, where)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    value, spread, about = found, None, ""
    if isinstance(found, dict):
        names = next((names for names in WHOLE if names[0] in found), None)
        if names is None:
            raise ValueError(f"{path.name}: {where} is no number; it has {', '.join(map(str, found))}")
        value, spread, about = found[names[0]], found.get(names[1]), described(found, names)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{path.name}: {where} is {type(value).__name__} {value!r:.60}, no number")
    if form["spread"] and not isinstance(spread, int | float):
        raise ValueError(f"{path.name}: {where} has no spread to show after ±; leave the ± out")
    try:
        shown = format(value, form["spec"])
        shown += f" ± {format(spread, form['spec'])}" if form["spread"] else ""
    except ValueError as error:
        raise ValueError(f"{path.name}: {where} is {value!r}, which {form['spec']!r} cannot show ({error})") from None
    return shown, "; ".join(filter(None, [about, origin(root, path, content, where)])), path


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


def origin(root: Path, path: Path, content: Any, where: str) -> str:
    """File, place, run or study or benchmark, and commit."""
    content = content if isinstance(content, dict) else {}
    made = [part.get("environment", {}) for part in content.get("parts", [])]  # seeds that were put together
    made = made or [content.get("environment") or content.get("provenance") or {}]
    commits = sorted({str(about["commit"])[:10] for about in made if about.get("commit")})
    kind = next((kind for kind in ("study", "run", "benchmark") if isinstance(content.get(kind), str)), None)
    parts = [f"{path.relative_to(root).as_posix()}, {where}"]
    parts += [f"{kind} {content[kind]}"] if kind else []
    parts += [f"commit {', '.join(commits)}"] if commits else []
    return "; ".join(parts)


class Result(SphinxRole):
    """The role ``result``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        root = Path(self.env.srcdir)
        for path in files(root):  # also the one that is missing now may come
            self.env.note_dependency(str(path))
        try:
            shown, title, _ = quoted(root, self.text)
        except ValueError as error:
            note(self.env, "results", self.lineno, f"{{result}}`{self.text}`: {error}")
            return [nodes.problematic(self.rawtext, self.rawtext)], []
        node = quoted_number(shown, shown, classes=["result"], title=title)
        self.set_source_info(node)
        return [node], []


class Published(SphinxRole):
    """The role ``published``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        sourced = SOURCED.fullmatch(self.text.strip())
        text, key, title = sourced["number"] if sourced else self.text, "", "published by others, not measured here"
        if sourced is not None:
            key, known = sourced["key"].strip(), library(self.env.app)
            if key not in known:
                message = f"{{published}}`{self.text}`: no source {key!r}; {near(key, known)}"
                note(self.env, "results", self.lineno, message)
                return [nodes.problematic(self.rawtext, self.rawtext)], []
            title = f"published by {known[key]}, not measured here"
        node = quoted_number(text, text, classes=["published"], title=title, key=key)
        self.set_source_info(node)
        return [node], []


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


def check(app: Sphinx) -> None:
    """Before any page is read: stop if a committed result is not what it says."""
    found = problems(Path(app.srcdir))
    for problem in found:
        logger.error("%s [ganlib.results]", problem, type="ganlib", subtype="results")
    if found:
        raise ExtensionError(f"committed results are not what they say ({len(found)} reasons above)")


def visit(self: Any, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "span", "", title=node["title"]))


def depart(self: Any, node: nodes.Element) -> None:
    self.body.append("</span>")


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("complaints")
    app.add_node(quoted_number, html=(visit, depart))
    app.add_role("result", Result())
    app.add_role("published", Published())
    app.connect("builder-inited", check)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
