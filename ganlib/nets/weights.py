"""Files of weights: tensors by name in a safetensors file, with settings, a record and a hash over every byte.

The file's metadata has one key, "ganlib". It holds JSON: the format number, the iteration, the settings of the run that
made it, its record (curves and counters) and a SHA-256. The digest is taken over every byte of the file except its own
64 characters, so that a change anywhere is noticed: in a weight, a tensor's name, a setting or the padding. What a file
says of itself is checked before a net is made or filled. `ganlib.lab.checkpoint` keeps such files in a run's folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ganlib import limits
from ganlib.data import files
from ganlib.errors import CheckpointError

FORMAT = 1
_LONGEST_HEADER = 10_000_000  # bytes; ten thousand seeds or a thousand layers take some 2,000,000
# What a training state is made of, and every version of the library both writes and reads.
_DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool}
_DTYPES |= {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What such a file holds.

    Parameters
    ----------
    path : the file.
    iteration : iterations done, from 0.
    tensors : by name, on the CPU, each with its own memory.
    settings : of the run that made it, as given to `serialised`.
    record : curves, counters and the like, as given to `serialised`.
    sha256 : of the file.
    """

    path: Path
    iteration: int
    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    record: dict[str, Any]
    sha256: str


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
    with opened(path) as file:
        info = verify(file)
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
    iteration: int, tensors: Mapping[str, Tensor], settings: dict[str, Any], record: dict[str, Any]
) -> list[memoryview]:
    """Such a file's bytes, in pieces to be written one after the other.

    Parameters
    ----------
    iteration : iterations done, at least 0.
    tensors : by name, on any device, of any layout in memory; names may share memory. Dense; floating point of 16 to 64
        bits, bool, or integer (signed of 8 to 64 bits, uint8).
    settings : of what made them; numbers are finite.
    record : anything that JSON gives back unchanged: lists, dictionaries with string keys, finite numbers, strings.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above (a nan in the settings, a tuple in the record).
    """
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


def half(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float32 tensors in half precision, to publish; one beyond its range keeps its own, as do all other types."""
    return {name: _half(tensor.detach()) for name, tensor in tensors.items()}


def _half(tensor: Tensor) -> Tensor:
    short = tensor.half() if tensor.dtype == torch.float32 else tensor
    return short if short.isfinite().all() else tensor


def filled(
    build: Callable[[], nn.Module], saved: Mapping[str, Tensor], path: Path, whose: str, device: str = "meta"
) -> nn.Module:
    """A net on the CPU with saved weights, which may be in half precision; none is made before they are known to fit.

    Parameters
    ----------
    build : makes the net; what it draws at random is replaced.
    saved : its tensors by name.
    path, whose : the file and the net, for messages.
    device : where the net is made before that; "cpu" where its size is known to be the file's.

    Raises
    ------
    CheckpointError
        If the weights are those of another net, or not finite.
    """
    try:
        with torch.device(device):  # shapes alone: a file may speak of more than any memory holds
            net = build()
    except (ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path}: no net is as its settings say ({error})") from error
    check(net, saved, path, whose)
    net = net.to_empty(device="cpu")
    net.load_state_dict(saved)  # copies, so half precision becomes the net's float32
    return net


def check(net: nn.Module, saved: Mapping[str, Tensor], path: Path, whose: str) -> None:
    """Refuse weights of another net, or that are not finite (CheckpointError); arguments as `filled`."""
    wanted = {name: (tensor.shape, tensor.is_floating_point()) for name, tensor in net.state_dict().items()}
    found = {name: (tensor.shape, tensor.is_floating_point()) for name, tensor in saved.items()}
    if found != wanted:
        differing = ", ".join(sorted(dict(found.items() ^ wanted.items()))[:5])
        raise CheckpointError(f"{path}: its weights are not those of {whose}; these tensors differ: {differing}")
    if wild := sorted(name for name, tensor in saved.items() if not tensor.isfinite().all()):
        raise CheckpointError(f"{path}: its weights are not finite in {', '.join(wild[:5])}")


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
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


def verify(file: BufferedReader) -> dict[str, Any]:
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
