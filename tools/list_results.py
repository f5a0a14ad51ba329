"""List the committed results in the package, each with its SHA-256 and bytes; notebooks elsewhere fetch by this list.

python tools/list_results.py        after a result was added, changed or removed; a test says when it is due
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ganlib.data.fetched import FOLDERS, LIST

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "ganlib" / "data" / LIST


def listing(root: Path) -> str:
    """The text of the list for the checkout ``root``."""
    found = sorted(path for folder in FOLDERS for path in root.joinpath(folder).iterdir() if path.is_file())
    rows = (
        f"{json.dumps(path.relative_to(root).as_posix())}: "
        f"{json.dumps([hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size])}"
        for path in found
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    PLACE.write_text(listing(ROOT), encoding="utf-8")
