"""Files read with every check there is, and written whole or not at all; JSON of one meaning."""

from __future__ import annotations

import io
import json
import math
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ganlib.errors import DataError

LARGEST_JSON = 32_000_000  # bytes; the curves of a thousand seeds have as many
DEEPEST = 50  # of lists and objects in a JSON file
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_TEMPORARY = re.compile(r"\..+\.([1-9][0-9]{0,18})-[0-9a-f]+\.tmp")  # of `write`, with its process
_writing: set[str] = set()  # temporary files of this process


def there(path: Path) -> bool:
    """Whether there is something of that name, be it a folder or out of reach."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # reading it will say why not
    return True


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """A file to read that is neither empty nor a web page; what stands against reading it is a DataError."""
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder, where a file belongs: move it away")
        with open(path, "rb") as file:
            refuse_foreign(path, file.peek(512)[:512])
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from None


def refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse a file that begins (head) as nothing, a web page or a Git LFS pointer: DataError, naming it."""
    if not head:
        raise DataError(f"{path} is empty (0 bytes)")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        raise DataError(f"{path} is a web page, saved under this name")
    if text.startswith(b"version https://git-lfs"):
        raise DataError(f"{path} is a Git LFS pointer, not the file it stands for")


def parsed(content: bytes) -> Any:
    """What JSON says, if it says one thing, and that in UTF-8 and of a shape that whoever looks at it survives.

    Parameters
    ----------
    content : the text; its length is for the caller to limit.

    Raises
    ------
    ValueError
        If it is no JSON; or a name is there twice, a number is not finite or an integer beyond 64 bits, a string is no
        text (half a surrogate pair), or lists and objects lie more than ``DEEPEST`` in each other.
    """

    def integer(text: str) -> int:
        if len(text) > 20:
            raise ValueError(f"it holds an integer of {len(text)} digits; none of ganlib's has more than 20")
        return int(text)

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"it holds {text[:30]}, which is no finite number")
        return value

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"it holds {next(name for name in names if names.count(name) > 1)[:60]!r} twice")
        return found

    text = content.decode("utf-8")
    hooks: dict[str, Any] = {"parse_constant": number, "parse_float": number, "parse_int": integer}
    try:
        value = json.loads(text, object_pairs_hook=once, **hooks)
    except RecursionError:
        raise ValueError("its lists and objects lie too deep in each other") from None
    layer, depth = [value], 0
    while layer := [each for each in layer if isinstance(each, dict | list)]:
        if (depth := depth + 1) > DEEPEST:
            raise ValueError(f"its lists and objects lie more than {DEEPEST} deep in each other")
        layer = [inner for each in layer for inner in (each.values() if isinstance(each, dict) else each)]
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()  # a UnicodeEncodeError is a ValueError
    return value


def read_json(path: str | Path) -> Any:
    """What a JSON file says, see `parsed`.

    Raises
    ------
    ValueError
        If it is not there, cannot be read, has more than ``LARGEST_JSON`` bytes, or is not such JSON. The message does
        not name it: the caller's does.
    """
    path = Path(path)
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise ValueError("it is no file" if os.path.lexists(path) else "there is none of that name")
        with open(path, "rb") as file:
            content = file.read(LARGEST_JSON + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it has more than {LARGEST_JSON:,} bytes")
    return parsed(content)


def write(path: str | Path, content: bytes | Iterable[bytes | memoryview], *, make_folder: bool = True) -> Path:
    """Write a file so that it is there completely or not at all.

    What killed processes left half written in its folder is cleared away first, see `clear`: it may be what fills the
    disk.

    Parameters
    ----------
    path : the file.
    content : its bytes, whole or in pieces.
    make_folder : make its folder if it is not there; if False, that is a FileNotFoundError.
    """
    path = Path(path)
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    clear(path.parent)
    temporary = path.parent / f".{path.name[:50]}.{os.getpid()}-{secrets.token_hex(8)}.tmp"
    _writing.add(temporary.name)
    try:
        with open(temporary, "xb") as file:
            for piece in [content] if isinstance(content, bytes) else content:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())  # the content is on the disk before the name is: never a name without content
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename2 is None and error.filename in (None, str(temporary)):
            error.filename = str(path)  # "No space left on device" should say where
        raise
    finally:
        _writing.discard(temporary.name)
    return path


def clear(folder: str | Path, alone: str = "") -> None:
    """Delete what processes that are no more left half written in a folder by `write`; all else is left alone.

    Of files whose names begin with ``alone``, if it is given, the caller is known to be the only writer: what is half
    written of them goes even if a process of that number is alive. Numbers are used again.
    """
    with suppress(OSError):  # no folder, or none that may be read: whoever writes will say so
        for path in Path(folder).iterdir():
            match = _TEMPORARY.fullmatch(path.name)
            if not match or path.name in _writing:
                continue
            if (alone and path.name.startswith(f".{alone}")) or not _running(int(match[1])):
                with suppress(OSError):
                    path.unlink()


def _running(process: int) -> bool:
    """Whether another process is alive, so that its half-written file is not taken from under it."""
    if process == os.getpid() or os.name != "posix":  # elsewhere an open file cannot be deleted anyway
        return False
    try:
        os.kill(process, 0)
    except PermissionError:  # another user's
        return True
    except (OSError, OverflowError):
        return False
    return True
