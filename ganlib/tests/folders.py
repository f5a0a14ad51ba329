"""What is in a folder, to be compared with what was in it before."""

from pathlib import Path

from ganlib.lab import lock


def tree(folder: str | Path) -> dict[Path, bytes]:
    """Every file below a folder, by path, but the lock's: some versions of filelock delete it once it is let go."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != lock.NAME]
    return {path: path.read_bytes() for path in files}
