"""One ES module from several: a widget travels as a single string, so what it imports has to come along.

Jupyter, Colab and the book's pages load a widget's module from a blob, where a relative import finds nothing. The
modules under ``js`` are plain ES modules that browsers and editors understand as they stand. `bundle` joins a widget's
module with those it imports, each once and after its own imports, without the ``import`` lines and the word
``export``. They then share one scope: a name defined twice is an error here, not a surprise in the page.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "js"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?function\b|class\b|const\b|let\b)", re.M)
_DEFINED = re.compile(r"^(?:export )?(?:(?:async )?function\*?|class|const|let) (\w+)", re.M)


@cache
def bundle(name: str, folder: Path = FOLDER) -> str:
    """The module ``name`` with everything it imports, as one ES module.

    Parameters
    ----------
    name : file below ``folder``, as in "dirac.js".

    Raises
    ------
    FileNotFoundError
        If the module, or one it imports, is not there.
    ValueError
        If an import is not of the one form understood, is not exported where it is said to be, or two modules define
        the same name at their top level.
    """
    order: list[Path] = []
    _visit((folder / name).resolve(), order, ())
    owners: dict[str, Path] = {}
    for path in order:
        for defined in _DEFINED.findall(path.read_text(encoding="utf-8")):
            if defined in owners:
                raise ValueError(f"{defined} is defined in {owners[defined].name} and in {path.name}: rename one")
            owners[defined] = path
    return (
        "\n".join(_EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8"))).strip() for path in order) + "\n"
    )


def _visit(path: Path, order: list[Path], above: tuple[Path, ...]) -> None:
    """Append the modules ``path`` needs and then itself, each once."""
    if path in above:
        raise ValueError(f"{path.name} imports itself, by way of {', '.join(each.name for each in above)}")
    if path in order:
        return
    text = path.read_text(encoding="utf-8")
    for names, source in _IMPORT.findall(text):
        target = (path.parent / source).resolve()
        _visit(target, order, (*above, path))
        exported = re.findall(
            r"^export (?:(?:async )?function\*?|class|const|let) (\w+)", target.read_text("utf-8"), re.M
        )
        for wanted in filter(None, (each.strip() for each in names.split(","))):
            if wanted not in exported:
                raise ValueError(f"{path.name} imports {wanted!r}, which {target.name} does not export under that name")
    if left := re.search(r"^\s*import\b.*", _IMPORT.sub("", text), re.M):
        raise ValueError(f'{path.name}: write {left[0].strip()!r} as import {{ names }} from "./file.js";')
    order.append(path)
