"""The test suite's tests that are about an accelerator: those marked `cuda`, and those marked `accelerator`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from benchmarks.common import ROOT
from benchmarks.gpu.record import Record

MARKERS = ("cuda", "accelerator")


class Outcomes:
    """A pytest plugin that keeps how every test ended, as soon as it has."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.tests: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        found = self.tests[report.nodeid] = {"outcome": report.outcome, "seconds": round(report.duration, 2)}
        if report.outcome == "failed":
            found |= {"when": report.when, "text": report.longreprtext.splitlines()[-60:]}
        elif report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            found["text"] = [report.longrepr[-1]]
        self.put()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome == "failed":
            self.tests[report.nodeid] = {"outcome": "failed", "text": report.longreprtext.splitlines()[-60:]}
            self.put()

    def put(self) -> None:
        self.record.put(tests=self.tests, counts=dict(Counter(each["outcome"] for each in self.tests.values())))


def files() -> list[str]:
    """The test files that have such tests: collecting the others would take longer than running these."""
    marked = tuple(f"mark.{marker}" for marker in MARKERS)
    found = [path for path in sorted(ROOT.glob("ganlib/tests/test_*.py")) if any(m in path.read_text() for m in marked)]
    return [str(path.relative_to(ROOT)) for path in found]


def run(record: Record, device: torch.device, small: bool) -> None:
    """Run them in this process; on CUDA none may be skipped."""
    outcomes = Outcomes(record)
    command = ["-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), "-m", " or ".join(MARKERS), *files()]
    record.put(pytest=command[5:])
    code = pytest.main(command, plugins=[outcomes])
    by_outcome = Counter(each["outcome"] for each in outcomes.tests.values())
    record.check("tests that failed", by_outcome["failed"], most=0)
    record.check("tests that passed", by_outcome["passed"], least=1)
    if device.type == "cuda":
        record.check("tests that were skipped", by_outcome["skipped"], most=0)
    record.finish(None if code in (0, 1) else f"pytest ended with exit code {int(code)}")
