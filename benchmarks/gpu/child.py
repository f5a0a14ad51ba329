"""What runs in a part's own process. Imports nothing slow: the parent needs these functions by name only."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def look(answer: Connection, choice: str | None, arguments: Sequence[str], commit: str | None) -> None:
    """Send what every part's file begins with, or a ValueError's text: in a process, for it starts the accelerator."""
    import shlex

    import torch

    from benchmarks import common
    from ganlib.device import pick_device
    from ganlib.lab.results import environment, without_folder

    try:
        device = pick_device(choice)
    except ValueError as error:
        answer.send(str(error))
        return
    found = environment(device, common.ROOT / "benchmarks", common.ROOT / "benchmarks" / "gpu")
    cuda = device.type == "cuda"
    found["cuda"] = torch.version.cuda if cuda else None
    found["capability"] = list(torch.cuda.get_device_capability(device)) if cuda else None
    if found["commit"] is None:
        found["commit_as_told"] = commit  # a copy without its history cannot tell itself
    command = shlex.join(["python", "-m", "benchmarks.gpu", *map(without_folder, arguments)])
    answer.send({"command": command, "device": str(device), "environment": found})


def work(name: str, path: Path, content: dict[str, Any], until: float, scratch: Path) -> None:
    """Run a part, whatever happens to it, and write how it ended; exit code 1 if it failed."""
    with suppress(OSError):
        os.setpgid(0, 0)  # so that at its limit it is ended together with what it started
    import torch

    from benchmarks.gpu.record import Record

    if torch.cuda._is_in_bad_fork():  # it cannot be: what is imported before this process began uses no device
        raise RuntimeError("CUDA was started before the part's own process began")
    record = Record(path, content, until, scratch)
    try:
        part = importlib.import_module(f"benchmarks.gpu.{name}")
        part.run(record, torch.device(content["device"]), content["small"])
    except Exception as error:
        traceback.print_exc()
        record.finish(f"{type(error).__name__}: {error}")
        record.put(traceback=traceback.format_exc().splitlines()[-30:])
    else:
        if record.content["status"] == "running":
            record.finish()
    sys.exit(record.content["status"] != "done")
