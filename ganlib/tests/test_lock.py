"""A folder's lock within one process. Other processes are kept out in test_runner.py and tests/test_distributed.py."""

import errno
import gc
import subprocess
import sys

import pytest

from ganlib import lock

TAKE = "import sys; from pathlib import Path; from ganlib import lock; lock.take(Path(sys.argv[1]))"
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")


def refused_elsewhere(folder):
    done = subprocess.run([sys.executable, "-c", TAKE, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0 or "lock.Held" in done.stderr, done.stderr
    return done.returncode != 0


@posix
def test_is_held_until_the_last_of_this_process_lets_go(tmp_path):
    one, two = lock.take(tmp_path), lock.take(tmp_path)
    assert refused_elsewhere(tmp_path)
    del one
    gc.collect()
    assert refused_elsewhere(tmp_path)
    del two
    gc.collect()
    assert not refused_elsewhere(tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


@posix
def test_a_link_to_the_folder_is_the_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    held = lock.take(tmp_path / "link")
    assert refused_elsewhere(tmp_path / "folder")
    assert lock.take(tmp_path / "folder") is held


@posix
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_used_all_the_same(tmp_path, monkeypatch, number):
    def flock(descriptor, operation):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    held = lock.take(tmp_path)
    assert not refused_elsewhere(tmp_path)
    assert isinstance(held, lock.Lock)
