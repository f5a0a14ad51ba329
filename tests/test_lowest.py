"""The package's own tests with the oldest versions that pyproject.toml declares, listed in lowest-pins.txt."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import Outdated, made, package_tests


def test_the_packages_own_tests_pass(tmp_path: Path) -> None:
    try:
        python = made("lowest")
    except Outdated as reason:
        pytest.skip(str(reason))
    done = package_tests(python, tmp_path)
    print(done.stdout.splitlines()[-1] if done.stdout else done.stderr)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
