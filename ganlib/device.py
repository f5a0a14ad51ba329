"""Which machine trains: one function finds it, says so once, and an explicit choice wins. Its global random numbers."""

from __future__ import annotations

import ctypes
import os

import torch
from torch import Tensor

from ganlib import limits

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
# What torch says where memory is full, but for CUDA and XPU, which have a type of error: the CPU, then MPS.
FULL = (
    "can't allocate memory",
    "not enough memory",
    "Storage size calculation overflowed",
    "MPS backend out of memory",
    "Invalid buffer size",
)

_reported: set[str] = set()


def pick_device(choice: str | torch.device | None = None, *, report: bool = True) -> torch.device:
    """Return the device to train on: ``choice`` if given, else the accelerator torch finds, else the CPU.

    Parameters
    ----------
    choice : "cuda", "cuda:1", "mps", "xpu", "cpu" or a torch.device; None reads the environment variable
        GANLIB_DEVICE and otherwise asks ``torch.accelerator``.
    report : print one line naming the device, the first time each is picked in a process.

    Raises
    ------
    TypeError, ValueError
        If ``choice`` is not a device name, or names a device this machine or this build of torch lacks.

    Examples
    --------
    >>> pick_device("cpu", report=False)
    device(type='cpu')
    """
    if choice is not None:
        limits.kind("device", choice, (str, torch.device))
    choice = choice or asked_for()
    device = _automatic() if choice is None else _explicit(choice)
    if report and str(device) not in _reported:
        _reported.add(str(device))
        print(f"ganlib runs on {describe(device)}")
    return device


def asked_for() -> str | None:
    """The device that the environment variable GANLIB_DEVICE names; None where it is not set, or blank."""
    return os.environ.get("GANLIB_DEVICE", "").strip() or None


def double(x: Tensor) -> Tensor:
    """``x`` in float64: where it is, or on the CPU if its device has no float64, as MPS and some of Intel's GPUs."""
    return x.double() if _has_float64(x.device) else x.cpu().double()


def memory(device: torch.device) -> int | None:
    """Bytes of the device's whole memory, of the machine's for the CPU and MPS; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "xpu":
        return int(torch.xpu.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def is_memory_full(error: RuntimeError) -> bool:
    """Whether torch gave up for want of memory; not every device says so by a type of error."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in FULL)


def keep_freed_memory() -> None:
    """Let this process keep memory it has freed, for the next tensor of that size; on Linux, and once is enough.

    glibc gives large blocks back to the system as soon as they are free, and asks for them again a moment later. The
    system then clears every page of them once more. The feature maps of a convolutional net are such blocks, and
    benchmarks/dcgan.py has the engine keep them. The price is that the process does not shrink until it ends.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)
    except (AttributeError, OSError, TypeError):  # another C library: nothing to set
        return


def describe(device: torch.device) -> str:
    """One phrase that names the device: its kind, its model where torch knows it, and the CPU's threads."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device} ({properties.name}, {properties.total_memory / 2**30:.0f} GiB)"
    if device.type == "xpu":
        return f"{device} ({torch.xpu.get_device_properties(device).name})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"the CPU ({threads} thread{'s' if threads > 1 else ''})"
    return str(device)


class GlobalNumbers:
    """Torch's global random numbers, which dropout draws from, as a run's own: a context around its iterations.

    Inside, they go on from where the run left them; afterwards the caller's are back.

    Parameters
    ----------
    seed : that they begin with, one of torch's.
    device : the networks'; the CPU's numbers are kept apart as well.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(self._devices):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every other device too
            for each in self._devices:
                with torch.cuda.device(each):
                    torch.cuda.manual_seed(seed)
            self.state = self._now()

    def __enter__(self) -> None:
        self._callers = self._now()
        self._set(self.state)

    def __exit__(self, *_: object) -> None:
        self.state = self._now()
        self._set(self._callers)

    def _now(self) -> list[Tensor]:
        return [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._devices)]

    def _set(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self._devices, states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)


def _automatic() -> torch.device:
    if not torch.accelerator.is_available():  # asked first: torch 2.6 raises where there is none
        return torch.device("cpu")
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is not None and accelerator.type in ("cuda", "mps", "xpu"):
        return torch.device(accelerator.type, 0) if accelerator.type != "mps" else torch.device("mps")
    return torch.device("cpu")


def _explicit(choice: str | torch.device) -> torch.device:
    try:
        device = torch.device(choice)
        if str(device) != str(choice):  # torch keeps 8 bits of a number: cuda:300 would be cuda:44
            raise RuntimeError
    except RuntimeError:
        raise ValueError(f"{limits.shown(choice)} is not a device; use cuda, cuda:N, mps, xpu or cpu") from None
    available = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "xpu": torch.xpu.device_count() if torch.xpu.is_available() else 0,
    }
    if device.type not in available:
        raise ValueError(f"ganlib does not run on {str(choice)!r}; use one of {', '.join(available)}")
    count = available[device.type]
    if (device.index or 0) >= count:
        there = ", ".join(f"{kind} ({n})" for kind, n in available.items() if n)
        raise ValueError(f"device {str(choice)!r} was asked for, but this machine has only: {there}")
    return device


def _has_float64(device: torch.device) -> bool:
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"
