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

FORMAT = 1
_NAME = re.compile(r"checkpoint-([0-9]{9,})(?:-([0-9]+))?\.safetensors")
_TEMPORARY = re.compile(r"\.checkpoint-[0-9]{9,}\.([0-9]+)-[0-9a-f]+\.tmp")
_LONGEST_HEADER = 100_000_000  # bytes; the safetensors format's own limit
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
    """

    path: Path
    iteration: int
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    record: dict[str, Any]


def save(
    folder: str | Path,
    iteration: int,
    tensors: dict[str, Tensor],
    settings: dict[str, Any],
    record: dict[str, Any],
    keep: int = 2,
) -> Path:
    """Write a checkpoint; when this returns it is on the disk, complete and under its final name.

    One process at a time writes to a folder (`ganlib.lock`). The file is ``checkpoint-<iteration>.safetensors``. A
    complete checkpoint of the same iteration and settings is replaced; anything else under that name is left alone and
    the new file gets the next free one (``checkpoint-<iteration>-1.safetensors``). Afterwards this run's older complete
    checkpoints beyond ``keep`` go, and what killed processes left half written. Damaged files and others' are never
    deleted.

    Parameters
    ----------
    folder : where to write; made if it is not there.
    iteration : iterations done, at least 0.
    tensors : by name, on any device, of any layout in memory; names may share memory. Dense; floating point of 16 to 64
        bits, bool, or integer (signed of 8 to 64 bits, uint8).
    settings : the run's settings; numbers are finite.
    record : anything that JSON gives back unchanged: lists, dictionaries with string keys, finite numbers, strings.
    keep : complete checkpoints of this run to keep, this one included; at least 1.

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
    _check_json("settings", settings)
    _check_json("record", record)
    pieces = _serialise(iteration, tensors, settings, record)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = _free_name(folder, iteration, settings)
    temporary = folder / f".checkpoint-{iteration:09d}.{os.getpid()}-{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())  # the content is on the disk before the name is: never a name without content
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(target)  # "No space left on device" should say where
        raise
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
        If the file is missing, empty, truncated, changed in any byte, another program's, or of another format.
    """
    path = Path(path)
    with _opened(path) as file:
        info = _verify(file)
        file.seek(0)
        content = file.read()
    try:
        tensors = safetensors.torch.load(content)
    except Exception as error:  # the digest is right, so it was written this way: by other hands
        raise CheckpointError(f"{path}: its tensors cannot be read ({error})") from error
    return Checkpoint(path, info["iteration"], tensors, info["settings"], info["record"])


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
        return repr(settings[name]) if name in settings else "(not set)"

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
            unchanged = json.loads(json.dumps({key: entry}, allow_nan=False)) == {key: entry}
        except (TypeError, ValueError, RecursionError):
            unchanged = False
        if not unchanged:
            raise ValueError(
                f"{name}[{key!r}] is {reprlib.repr(entry)}, which JSON does not give back unchanged; "
                "use finite numbers, strings, lists and dictionaries with string keys"
            )


def _serialise(
    iteration: int, tensors: dict[str, Tensor], settings: dict[str, Any], record: dict[str, Any]
) -> list[memoryview]:
    """The file's bytes, in pieces to be written one after the other."""
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
    if size < 8 + header_size or header_size > _LONGEST_HEADER:
        raise ValueError("truncated, damaged or not a safetensors file" if size else "empty")
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
        metadata = json.loads(header.decode())["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("ganlib"), str):
        raise ValueError("damaged or another program's: its header has no metadata of ganlib's")
    try:
        info = json.loads(metadata["ganlib"])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"damaged: its metadata is not JSON ({error})") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        found = info.get("format") if isinstance(info, dict) else None
        raise ValueError(f"of format {found!r}; this version of ganlib reads format {FORMAT}")
    types = {"iteration": int, "settings": dict, "record": dict, "sha256": str}
    wrong = [name for name, kind in types.items() if not isinstance(info.get(name), kind)]
    if wrong or not info["sha256"]:
        raise ValueError(f"damaged: its metadata lacks {', '.join(wrong) or 'the digest'}")
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
    for path in folder.iterdir():
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _running(int(match[1])):
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
