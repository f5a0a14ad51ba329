"""Calls with one argument replaced by something hostile: what they give, and how they refuse it."""

from __future__ import annotations

import importlib
import inspect
import linecache
import math
import pkgutil
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import GeneratorType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from traitlets import TraitError

import ganlib
from ganlib import limits
from ganlib.errors import Diverged

ROOT = Path(ganlib.__file__).parent
# Errors of a call; FloatingPointError and Diverged say that a training did, TraitError is a widget's ValueError.
REFUSALS = (ValueError, TypeError, FloatingPointError, FileNotFoundError, Diverged, TraitError)
GUARD = 60  # seconds for one call, thousands of times what it needs


@dataclass
class Call:
    """A valid call.

    Parameters
    ----------
    of : the function whose parameters these are.
    arguments : all of them.
    run : what to call instead, such as one that asks an iterator for its first value.
    through : values are not looked at, as in a net's layers: those that are not finite go through.
    maybe : results that are not finite are documented.
    free : parameters of which nothing is asked, and why.
    """

    of: Any
    arguments: dict[str, Any]
    run: Callable[..., Any] | None = None
    through: bool = False
    maybe: bool = False
    free: dict[str, str] | None = None

    def __call__(self, **changed: Any) -> Any:
        arguments = self.arguments | changed
        positional = [p.name for p in self.parameters() if p.kind is p.POSITIONAL_ONLY]
        several = [p.name for p in self.parameters() if p.kind is p.VAR_POSITIONAL]
        first = [arguments.pop(name) for name in positional] + [each for n in several for each in arguments.pop(n)]
        found = (self.run or self.of)(*first, **arguments)
        return next(found) if isinstance(found, GeneratorType) else found

    def parameters(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.of).parameters.values())


def public() -> dict[str, Any]:
    """The public functions, classes and methods of ganlib's modules, by name without the package's."""
    found = {}
    for info in pkgutil.walk_packages(ganlib.__path__, "ganlib."):
        name = info.name.removeprefix("ganlib.")
        if ELSEWHERE.fullmatch(name):
            continue
        module = importlib.import_module(info.name)
        for own, what in vars(module).items():
            if own.startswith("_") or getattr(what, "__module__", "") != info.name or not callable(what):
                continue
            if not (inspect.isclass(what) and issubclass(what, Exception)):
                found[f"{name}.{own}"] = what
            if inspect.isclass(what):
                methods = {each: getattr(one, "__func__", one) for each, one in vars(what).items()}
                found |= {
                    f"{name}.{own}.{each}": one
                    for each, one in methods.items()
                    if not each.startswith("_") and inspect.isfunction(one)
                }
    return found


# Not the mathematical half: the proofs, data files, and of the lab what concerns runs, their files, the command line
# and the studies. Other tests are theirs.
ELSEWHERE = re.compile(
    r"(data\.(downloads|fetched|files|official)|device|notebook|proofs|tests|__main__|cell|errors|conftest|nets\.weights|"
    r"lab\.(build|checkpoint|cli|combine|committed|generators|interrupts|lock|measure|results|runner|runs|settings|snapshots|state|"
    r"studies|training|speed\.(distributed|game|graphs|onednn)))(\..*)?"
)


def hostile(valid: Any) -> Iterator[tuple[str, Any, bool]]:
    """What to put in the place of a valid argument: its name, the value, and whether it means the same."""
    scalars = {
        **{str(x): x for x in (math.nan, math.inf, -math.inf, -1, 0, 1e308, -1e308, 1e-308, 2.5, 2.0)},
        "10**30": 10**30, "-10**30": -(10**30), "10**400": 10**400, "True": True, "None": None, "1j": 1j,
        "text": "nonsense", "bytes": b"x", "function": lambda *_: None, "object": object(),
        "[]": [], "{}": {}, "[None]": [None], "[[1],[2,3]]": [[1], [2, 3]],
        "np nan": np.float64("nan"), "np int array": np.array([1, 2], np.int8), "np text": np.array(["a"]),
        "np objects": np.array([None, "a"], object), "np masked": np.ma.masked_array([0.5, 0.5], [True, False]),
        "tensor": torch.tensor(2.5), "bool tensor": torch.tensor([True]),
    }  # fmt: skip
    for name, value in scalars.items():
        yield name, value, False
    if isinstance(valid, bool):
        return
    if isinstance(valid, int):
        yield "np.int64", np.int64(valid), True
        yield "float for int", float(valid), True
    if isinstance(valid, float):
        yield "np.float64", np.float64(valid), True
        yield "np.float32", np.float32(valid), float(np.float32(valid)) == valid
    if isinstance(valid, Tensor):
        yield from _tensors(valid)
    elif isinstance(valid, list | tuple) and valid and isinstance(valid[0], int | float):
        yield from _numbers(valid)


def _numbers(valid: Any) -> Iterator[tuple[str, Any, bool]]:
    for name, bad in {"nan": math.nan, "inf": math.inf, "-1": -1, "1e308": 1e308, "10**400": 10**400, "None": None,
                      "text": "a", "1j": 1j, "2.5": 2.5, "True": True, "list": [1.0]}.items():  # fmt: skip
        yield f"with {name}", type(valid)([bad, *valid[1:]]), False
    yield "shorter", valid[:-1], False
    yield "longer", valid + valid[:1], False
    yield "nested", type(valid)([valid]), False
    yield "as tuple or list", tuple(valid) if isinstance(valid, list) else list(valid), True
    yield "as array", np.array(valid), True
    yield "as int array", np.array(valid).astype(int), (np.array(valid) == np.array(valid).astype(int)).all()
    yield "as complex array", np.array(valid).astype(complex), False
    yield "as tensor", torch.tensor(valid), True
    yield "as tensor with a graph", torch.tensor(valid, dtype=torch.float64, requires_grad=True), True
    yield "of 1e308", type(valid)([1e308] * len(valid)), False


def _tensors(valid: Tensor) -> Iterator[tuple[str, Any, bool]]:
    flat = valid.double() if not valid.is_complex() else valid
    for name, bad in {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "-1": -1, "1e308": 1e308}.items():
        one = flat.clone()
        one.view(-1)[0] = bad
        yield f"with {name}", one, False
        yield f"with {name} in float32", one.float(), False
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool):
        changed = valid.to(dtype)
        yield f"as {dtype}", changed, torch.equal(changed.double(), flat)
    yield "as complex", valid.to(torch.complex64), False
    if valid.is_floating_point():
        yield "with a graph", valid.clone().requires_grad_(), True
    yield "empty", valid[:0], False
    yield "without columns", valid[..., :0], False
    yield "one row", valid[:1], False
    yield "an axis less", valid[0], False
    yield "an axis more", valid[None], False
    yield "wider", torch.cat([valid, valid], -1), False
    yield "on meta", valid.to("meta"), False
    yield "sparse", valid.to_sparse(), False
    yield "as list", valid.tolist(), False
    yield "as array", valid.detach().numpy(), False
    yield "huge", flat * 1e308, False
    yield "tiny", flat * 1e-308, False
    yield "negative", -flat.to(valid.dtype), False


def fuzz(make: Callable[[], Call]) -> tuple[int, list[str]]:
    """All hostile calls of one function: how many there were, and what is wrong with the answers."""
    calls, wrong = 0, []
    names = [name for name in make().arguments if name not in (make().free or {})]
    expected = flattened(make()())
    for name in names:
        for label, value, same in hostile(make().arguments[name]):
            calls += 1
            # Made anew: a call may change what it is given.
            trouble = _trouble(make(), name, value, expected if same else None, "nan" in label)
            if trouble:
                wrong.append(f"{name} = {label}: {trouble}")
    return calls, wrong


def _trouble(call: Call, name: str, value: Any, expected: Any, poisoned: bool) -> str:
    try:
        with warnings.catch_warnings(), guarded():
            warnings.simplefilter("ignore", UserWarning)
            warnings.filterwarnings("ignore", module="matplotlib")  # that a plot's limits are far apart
            found = flattened(call(**{name: value}))
    except REFUSALS as error:
        return _refusal(error, name, value)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    numbers = [x for x in found if isinstance(x, np.ndarray)]
    if not call.through and not call.maybe and not all(np.isfinite(x).all() for x in numbers):
        return "gives what is not finite"
    if poisoned and not call.through:
        return "takes what is not a number"
    if expected is not None and not alike(found, expected):
        return "gives another result for the same values"
    return ""


def _refusal(error: Exception, name: str, value: Any) -> str:
    says, trace = str(error), error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename
    line = linecache.getline(file, trace.tb_lineno)
    ours = Path(file).is_relative_to(ROOT) and "tests" not in Path(file).parts and line.strip().startswith("raise")
    if not ours and not isinstance(error, TraitError):
        return f"{type(error).__name__} from {Path(file).name}, not from ganlib: {says}"[:300]
    shape = str(tuple(value.shape)) if hasattr(value, "shape") else ""
    told = [limits.shown(value), *([shape, str(value.dtype), shape.partition(", ")[2] or shape] if shape else [])]
    named = re.search(rf"\b{name}\b", says) or any(each in says for each in told)
    return "" if named else f"does not name it: {says}"[:300]


def flattened(found: Any) -> list[Any]:
    """The numbers of a result as arrays, and the rest as text."""
    if isinstance(found, Tensor):
        if found.is_meta:
            return [f"meta {tuple(found.shape)}"]
        found = found.detach().cpu()
        found = found.to_dense() if found.is_sparse else found
        return [found.double().numpy() if not found.is_complex() else found.numpy()]
    if isinstance(found, bool | str | None):
        return [repr(found)]
    if isinstance(found, int | float | np.ndarray | np.number):
        return [np.asarray(found, dtype=np.float64)]
    if isinstance(found, dict):
        return [each for one in found.values() for each in flattened(one)]
    if isinstance(found, list | tuple):
        return [each for one in found for each in flattened(one)]
    if is_dataclass(found) and not isinstance(found, type):
        return [each for field in fields(found) for each in flattened(getattr(found, field.name))]
    if isinstance(found, torch.nn.Module):
        return flattened(list(found.state_dict().values()))
    return [type(found).__name__]


def alike(found: list[Any], expected: list[Any]) -> bool:
    if len(found) != len(expected):
        return False
    for one, other in zip(found, expected, strict=True):
        if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
            same = isinstance(one, str) and isinstance(other, str)
        else:
            same = one.shape == other.shape and np.allclose(one, other, rtol=2e-3, atol=2e-3, equal_nan=True)
        if not same:
            return False
    return True


@contextmanager
def guarded() -> Iterator[None]:
    """Ends a call that hangs, where the system has alarms; no test waits for it otherwise."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: Any) -> None:
        raise TimeoutError(f"no answer within {GUARD} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(GUARD)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
