"""Checkpoints: one safetensors file each, written so that a kill at any moment leaves a usable one.

The file's metadata has one key, "ganlib". It holds JSON: the format number, the iteration, the run's settings, its
record (curves and counters) and a SHA-256. The digest is taken over every byte of the file except its own 64
characters, so that a change anywhere is noticed: in a weight, a tensor's name, a setting or the padding.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import reprlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ganlib import files, limits

FORMAT = 1
_NAME = re.compile(r"checkpoint-([0-9]{9,})(?:-([0-9]+))?\.safetensors")
_LONGEST_HEADER = 10_000_000  # bytes; ten thousand seeds or a thousand layers take some 2,000,000
# What a training state is made of, and every version of the library both writes and reads.
_DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool}
_DTYPES |= {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the reason."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds.

    Parameters
    ----------
    path : the file.
    iteration : iterations done, from 0.
    tensors : by name, on the CPU, each with its own memory.
    settings : the run's settings, as given to `save`.
    record : curves, counters and the like, as given to `save`.
    sha256 : of the file.
    """

    path: Path
    iteration: int
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    record: dict[str, Any]
    sha256: str


def save(
    folder: str | Path,
    iteration: int,
    tensors: dict[str, Tensor],
    settings: dict[str, Any],
    record: dict[str, Any],
    keep: int = 2,
    *,
    make_folder: bool = True,
) -> Path:
    """Write a checkpoint; when this returns it is on the disk, complete and under its final name.

    One process at a time writes to a folder (`ganlib.lock`). The file is ``checkpoint-<iteration>.safetensors``. A
    complete checkpoint of the same iteration and settings is replaced; anything else under that name is left alone and
    the new file gets the next free one (``checkpoint-<iteration>-1.safetensors``). First goes what killed processes
    left half written, afterwards this run's older complete checkpoints beyond ``keep``. Damaged files and others' are
    never deleted.

    Parameters
    ----------
    folder : where to write.
    iteration : iterations done, at least 0.
    tensors : by name, on any device, of any layout in memory; names may share memory. Dense; floating point of 16 to 64
        bits, bool, or integer (signed of 8 to 64 bits, uint8).
    settings : the run's settings; numbers are finite.
    record : anything that JSON gives back unchanged: lists, dictionaries with string keys, finite numbers, strings.
    keep : complete checkpoints of this run to keep, this one included; at least 1.
    make_folder : make the folder if it is not there; if False, that is a FileNotFoundError.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above (a nan in the settings, a tuple in the record); nothing is written.
    OSError
        If the disk is full or refuses; the folder's checkpoints are as they were.
    """
    for name, value, least in (("iteration", iteration, 0), ("keep", keep, 1)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is {value!r}; it must be an integer")
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")
    pieces = serialised(iteration, tensors, settings, record)

    folder = Path(folder)
    if make_folder:
        folder.mkdir(parents=True, exist_ok=True)
    target = _free_name(folder, iteration, settings)
    files.write(target, pieces, make_folder=False)
    _fsync_folder(folder)
    _prune(folder, iteration, settings, keep)
    return target


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint after checking every byte of it.

    Parameters
    ----------
    path : the file; its name does not matter.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If the file is missing, empty, truncated, changed in any byte, another program's, or of another format, or if
        what it holds is none of a checkpoint's, whoever signed it.
    """
    path = Path(path)
    with _opened(path) as file:
        info = _verify(file)
        file.seek(0)
        content = file.read()
    try:
        tensors = safetensors.torch.load(content)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # the digest is right, so it was written this way: by other hands; Rust may panic
        raise CheckpointError(f"{path}: its tensors cannot be read ({error})") from error
    foreign = sorted(f"{name} ({tensor.dtype})" for name, tensor in tensors.items() if tensor.dtype not in _DTYPES)
    if foreign:
        raise CheckpointError(f"{path}: tensors of types that no checkpoint has: {', '.join(foreign[:5])}")
    sha256 = hashlib.sha256(content).hexdigest()
    return Checkpoint(path, info["iteration"], tensors, info["settings"], info["record"], sha256)


def newest(folder: str | Path) -> tuple[Checkpoint | None, list[CheckpointError]]:
    """Load the complete checkpoint of the highest iteration in a folder.

    Parameters
    ----------
    folder : a run's folder; it need not exist.

    Returns
    -------
    Checkpoint or None
        None if the folder has no complete one.
    list of CheckpointError
        Files with newer names that were refused, newest first, with reasons: report them.

    Raises
    ------
    CheckpointError
        If ``folder`` is something else than a folder.
    """
    refused: list[CheckpointError] = []
    for named, path in _listed(Path(folder)):
        try:
            checkpoint = load(path)
            if checkpoint.iteration != named:
                raise CheckpointError(f"{path}: renamed; its content is of iteration {checkpoint.iteration}")
            return checkpoint, refused
        except CheckpointError as error:
            refused.append(error)
    return None, refused


def check_settings(saved: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to go on with other settings than the checkpoint's.

    Parameters
    ----------
    saved, asked : the checkpoint's settings and the ones to resume with.

    Raises
    ------
    CheckpointError
        If they differ; every difference is listed as ``name: saved -> asked``.

    Examples
    --------
    >>> check_settings({"k": 1, "m": 100}, {"k": 2, "m": 100})
    Traceback (most recent call last):
    ...
    ganlib.checkpoint.CheckpointError: the checkpoint was made with other settings (saved -> asked):
      k: 1 -> 2
    Resume with the saved ones, or start afresh in another folder.
    """

    def shown(settings: dict[str, Any], name: str) -> str:
        return limits.shown(settings[name]) if name in settings else "(not set)"

    differing = "\n".join(
        f"  {name}: {shown(saved, name)} -> {shown(asked, name)}"
        for name in sorted({*saved, *asked})
        if name not in saved or name not in asked or saved[name] != asked[name]
    )
    if differing:
        raise CheckpointError(
            f"the checkpoint was made with other settings (saved -> asked):\n{differing}\n"
            "Resume with the saved ones, or start afresh in another folder."
        )


def _check_json(name: str, value: dict[str, Any]) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a dictionary")
    for key, entry in value.items():
        try:
            unchanged = files.parsed(json.dumps({key: entry}, allow_nan=False).encode()) == {key: entry}
        except (TypeError, ValueError, RecursionError):
            unchanged = False
        if not unchanged:
            raise ValueError(
                f"{name}[{key!r}] is {reprlib.repr(entry)}, which JSON does not give back unchanged; "
                "use finite numbers, integers of 64 bits, strings, lists and dictionaries with string keys"
            )


def serialised(
    iteration: int, tensors: dict[str, Tensor], settings: dict[str, Any], record: dict[str, Any]
) -> list[memoryview]:
    """A checkpoint's bytes, in pieces to be written one after the other; arguments and errors as `save`."""
    _check_json("settings", settings)
    _check_json("record", record)
    packed: dict[str, Tensor] = {}
    storages = set()
    for name, tensor in tensors.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise ValueError(f"{name!r} cannot name a tensor; use a string other than '__metadata__'")
        if not isinstance(tensor, Tensor):
            raise TypeError(f"tensor {name!r} is a {type(tensor).__name__}; it must be a torch.Tensor")
        if tensor.layout != torch.strided or tensor.is_meta or tensor.dtype not in _DTYPES:
            kind = "without memory (meta)" if tensor.is_meta else f"{tensor.dtype}, {tensor.layout}"
            raise ValueError(f"tensor {name!r} is {kind}; convert it to a dense tensor of a common dtype")
        here = tensor.detach().cpu().resolve_neg().contiguous()
        if here.untyped_storage().data_ptr() in storages:
            here = here.clone()  # safetensors refuses tensors that overlap
        storages.add(here.untyped_storage().data_ptr())
        packed[name] = here

    # Serialised in memory, not by save_file: that would report a full disk as an error of its own instead of OSError,
    # and the digest would have to be patched into a file already written. It costs one more copy of the state in the
    # host's memory until it is written.
    blank = secrets.token_hex(32)  # stands where the digest goes, and nowhere else
    info = {"format": FORMAT, "iteration": iteration, "settings": settings, "record": record, "sha256": blank}
    text, most = json.dumps(info), _LONGEST_HEADER // 2  # the rest is for the tensors' names and shapes
    if len(json.dumps(text)) > most:  # twice: a string within the header's own JSON
        raise ValueError(f"settings and record are longer than {most:,} bytes as JSON; put long curves into tensors")
    content = memoryview(safetensors.torch.save(packed, {"ganlib": text}))
    header_size = int.from_bytes(content[:8], "little")
    start = bytes(content[: 8 + header_size]).index(blank.encode())
    before, after = content[:start], content[start + len(blank) :]
    sha256 = hashlib.sha256(before)
    sha256.update(after)
    return [before, memoryview(sha256.hexdigest().encode()), after]


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """Open a file; whatever is wrong with it, there or in the block, becomes a `CheckpointError` that names it."""
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise ValueError("not a file" if os.path.lexists(path) else "there is no such file")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _verify(file: BufferedReader) -> dict[str, Any]:
    """Metadata of an open file; ValueError with the reason if it is not a complete checkpoint."""
    size = os.fstat(file.fileno()).st_size
    header_size = int.from_bytes(file.read(8), "little")
    if size < 8 + header_size:
        raise ValueError("truncated, damaged or not a safetensors file" if size else "empty")
    if header_size > _LONGEST_HEADER:
        raise ValueError(f"its header has {header_size:,} bytes; no checkpoint's has more than {_LONGEST_HEADER:,}")
    header = file.read(header_size)
    info = _info(header)  # before the rest: another program's file may be huge
    before, _, after = header.partition(info["sha256"].encode(errors="replace"))
    sha256 = hashlib.sha256(header_size.to_bytes(8, "little") + before + after)
    piece = memoryview(bytearray(min(size, 1 << 20)))  # piecewise: pruning should not need the memory of a whole state
    while count := file.readinto(piece):
        sha256.update(piece[:count])
    if sha256.hexdigest() != info["sha256"]:
        raise ValueError("truncated or damaged: the content does not match its SHA-256")
    return info


def _info(header: bytes) -> dict[str, Any]:
    """Our metadata from a safetensors header; ValueError with the reason if it is not there or not ours."""
    try:
        metadata = files.parsed(header)["__metadata__"]
    except (ValueError, KeyError, TypeError):
        metadata = None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("ganlib"), str):
        raise ValueError("damaged or another program's: its header has no metadata of ganlib's")
    try:
        info: dict[str, Any] = files.parsed(metadata["ganlib"].encode())
    except ValueError as error:
        raise ValueError(f"damaged: its metadata is not JSON as ganlib writes it ({error})") from error
    found = info.get("format") if isinstance(info, dict) else None
    if type(found) is not int or found != FORMAT:
        raise ValueError(f"of format {limits.shown(found)}; this version of ganlib reads format {FORMAT}")
    types = {"iteration": int, "settings": dict, "record": dict, "sha256": str}
    wrong = [name for name, kind in types.items() if type(info.get(name)) is not kind]
    if wrong or not info["sha256"]:
        raise ValueError(f"damaged: its metadata lacks {', '.join(wrong) or 'the digest'}")
    if problem := limits.outside("iteration", info["iteration"], 0, limits.STEPS):
        raise ValueError(f"damaged: {problem}")
    return info


def _listed(folder: Path) -> list[tuple[int, Path]]:
    """Files named like checkpoints with the iterations in their names, newest first."""
    if not os.path.lexists(folder):
        return []
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: not a folder")
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    found = [(int(match[1]), int(match[2] or 0), path) for match, path in named if match]
    return [(iteration, path) for iteration, _, path in sorted(found, reverse=True)]


def _free_name(folder: Path, iteration: int, settings: dict[str, Any]) -> Path:
    copies = 0
    while True:
        path = folder / f"checkpoint-{iteration:09d}{f'-{copies}' if copies else ''}.safetensors"
        if not os.path.lexists(path) or _same_run(path, iteration, settings):
            return path
        copies += 1


def _same_run(path: Path, iteration: int, settings: dict[str, Any]) -> bool:
    try:
        with _opened(path) as file:
            info = _verify(file)
    except CheckpointError:
        return False
    return bool(info["iteration"] == iteration and info["settings"] == settings)


def _fsync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network and FUSE file systems cannot
            raise
    finally:
        os.close(descriptor)


def _prune(folder: Path, iteration: int, settings: dict[str, Any], keep: int) -> None:
    older = [(n, path) for n, path in _listed(folder) if n < iteration]
    if len(older) >= keep:  # only then can there be one too many: checking them reads them
        complete = [path for n, path in older if _same_run(path, n, settings)]
        for path in complete[keep - 1 :]:
            with suppress(OSError):  # the new checkpoint is safe; one that cannot be deleted is no reason to stop
                path.unlink()
