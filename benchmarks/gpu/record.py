"""A part's JSON file, written whole again whenever something is known: a part cut short leaves what it had."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from ganlib.lab.results import write_results

DONE, RUNNING, FAILED, CUT_SHORT, NOT_STARTED = "done", "running", "failed", "cut short", "not started"


class Record:
    """What a part has found so far.

    Parameters
    ----------
    path : its file.
    content : what is known before it starts; "part", "environment", "command" and the like.
    until : `time.monotonic` at which its process is ended.
    scratch : a folder for files that nobody needs afterwards.
    """

    def __init__(self, path: Path, content: dict[str, Any], until: float, scratch: Path) -> None:
        self.path, self.until, self.scratch = path, until, scratch
        self.started = time.monotonic()
        self.content = {**content, "status": RUNNING, "reason": None, "checks": []}
        self.put()

    @property
    def left(self) -> float:
        """Seconds until the part's process is ended."""
        return self.until - time.monotonic()

    def put(self, **entries: Any) -> None:
        """Take entries up and write the file."""
        self.content |= entries
        self.content["wall_seconds"] = round(time.monotonic() - self.started, 1)
        write_results(self.path, jsonable(self.content))

    def check(self, what: str, value: float, *, most: float | None = None, least: float | None = None) -> None:
        """Keep a figure beside what it must not exceed or fall below; not-a-number never holds."""
        holds = (most is None or value <= most) and (least is None or value >= least) and not math.isnan(value)
        limits = {name: limit for name, limit in (("most", most), ("least", least)) if limit is not None}
        self.content["checks"].append({"what": what, "value": value, **limits, "holds": holds})
        self.put()

    def finish(self, reason: str | None = None, status: str | None = None) -> None:
        """Write the end: failed where there is a reason or a check does not hold, else done."""
        wrong = [each["what"] for each in self.content["checks"] if not each["holds"]]
        reason = reason or ("; ".join(f"does not hold: {what}" for what in wrong) or None)
        self.put(status=status or (FAILED if reason else DONE), reason=reason)


def jsonable(value: Any) -> Any:
    """The same in what JSON knows: a number that is not finite becomes its name."""
    if isinstance(value, dict):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def memory(device: torch.device) -> int | None:
    """The most bytes that torch has held on a CUDA device since the process began; None elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
