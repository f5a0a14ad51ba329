"""A folder's lock within one process. Other processes are kept out in test_runner.py and tests/test_distributed.py."""

import errno
import fcntl
import gc
import subprocess
import sys

import pytest

from ganlib.lab import lock

TAKE = "import sys; from pathlib import Path; from ganlib.lab import lock; lock.take(Path(sys.argv[1]))"


def refused_elsewhere(folder):
    done = subprocess.run([sys.executable, "-c", TAKE, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0 or "lock.Held" in done.stderr, done.stderr
    return done.returncode != 0


def test_is_held_until_the_last_of_this_process_lets_go(tmp_path):
    one, two = lock.take(tmp_path), lock.take(tmp_path)
    assert refused_elsewhere(tmp_path)
    del one
    gc.collect()
    assert refused_elsewhere(tmp_path)
    del two
    gc.collect()
    assert not refused_elsewhere(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] in ([], [lock.NAME])


def test_a_link_to_the_folder_is_the_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    held = lock.take(tmp_path / "link")
    assert refused_elsewhere(tmp_path / "folder")
    assert lock.take(tmp_path / "folder") is held


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_all_the_same(tmp_path, monkeypatch, number):
    def flock(descriptor, operation):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert lock.take(tmp_path) is None
    assert not refused_elsewhere(tmp_path)
