"""Committed results: where they lie, and what is found at a path in one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from ganlib.files import read_json

RESULTS, BENCHMARKS = "book/results", "benchmarks/results"
FOLDERS = (RESULTS, BENCHMARKS, "ganlib/assets", "ganlib/widgets/assets")


def files(root: Path) -> list[Path]:
    """Every JSON file of the folders of results below ``root``."""
    return [path for folder in FOLDERS for path in sorted(root.joinpath(folder).glob("*.json"))]


def near(name: object, names: Iterable[object]) -> str:
    """The nearest of ``names``, to end a message with."""
    listed = [str(each) for each in names]
    found = difflib.get_close_matches(str(name), listed, n=3, cutoff=0.4) or listed[:8]
    return f"the nearest are {', '.join(found)}" if found else "there is none"


@lru_cache(maxsize=64)
def _read(path: Path, modified: int) -> Any:
    return read_json(path)


def read(path: Path) -> Any:
    """The content of a JSON file.

    Raises
    ------
    ValueError
        If it is not JSON, or not as results hold it, see `ganlib.files.parsed`.
    """
    return _read(path, path.stat().st_mtime_ns)


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


def at(content: Any, path: str) -> Any:
    """What is found at a dotted ``path``: names of entries, which may themselves hold dots, and places in lists.

    Raises
    ------
    ValueError
        If there is nothing; the message has the nearest names.
    """

    def walk(value: Any, rest: str, done: str) -> tuple[bool, Any]:
        """Found or not, and what; or else the message of the longest way that could be gone."""
        if not rest:
            return True, value
        if isinstance(value, list):
            place, _, after = rest.partition(".")
            if place.isdecimal() and int(place) < len(value):
                return walk(value[int(place)], after, f"{done}.{place}")
            return False, (done, f"{done or 'it'} is a list of {len(value)}, and {place!r} no place in it")
        if not isinstance(value, dict):
            return False, (done, f"{done} is {value!r} and has no entry {rest!r}")
        failed = (done, f"{done or 'it'} has no entry {rest.partition('.')[0]!r}; {near(rest, value)}")
        for key in value:
            if rest == key or rest.startswith(f"{key}."):
                found, what = walk(value[key], rest[len(key) + 1 :], f"{done}.{key}".lstrip("."))
                if found:
                    return True, what
                failed = max(failed, what, key=lambda each: len(each[0]))
        return False, failed

    found, what = walk(content, path, "")
    if not found:
        raise ValueError(what[1])
    return what
