"""npm's packages are installed once, from a lock file that holds hashes and no address; what goes wrong is one line."""

from __future__ import annotations

import base64
import hashlib
import http.server
import importlib.util
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "_ext"

spec = importlib.util.spec_from_file_location("book_npm", EXTENSIONS / "npm.py")
npm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(npm)


def test_the_lock_file_holds_hashes_and_no_address() -> None:
    wanted, lock, _ = (file.read_text() for file in npm.FILES)
    assert "resolved" not in lock
    assert "http" not in lock
    packages = json.loads(lock)["packages"]
    assert {path.rpartition("/")[2]: each["version"] for path, each in packages.items() if path} == {
        **json.loads(wanted)["dependencies"],
        **json.loads(wanted)["devDependencies"],
    }
    assert all(each["integrity"].startswith("sha512-") for path, each in packages.items() if path)


def pack(text: str) -> bytes:
    """An archive as npm has them, of a package "thing" with one script."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, content in {"package.json": '{"name": "thing", "version": "1.0.0"}', "thing.js": text}.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return written.getvalue()


class Registry(http.server.BaseHTTPRequestHandler):
    """Serves `archive` as the package "thing", and notes what it is asked for."""

    archive: bytes
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        here = f"http://127.0.0.1:{self.server.server_port}"
        version = {"name": "thing", "version": "1.0.0", "dist": {"tarball": f"{here}/thing.tgz"}}
        described = json.dumps({"name": "thing", "versions": {"1.0.0": version}, "dist-tags": {"latest": "1.0.0"}})
        body = self.archive if self.path == "/thing.tgz" else described.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Registry]]:
    """The real npm, with a registry of our own, an empty cache and a lock file of one package."""
    Registry.archive, Registry.asked = pack("let thing = 1;"), []
    integrity = f"sha512-{base64.b64encode(hashlib.sha512(Registry.archive).digest()).decode()}"
    wanted = {"dependencies": {"thing": "1.0.0"}}
    locked = {"": wanted, "node_modules/thing": {"version": "1.0.0", "integrity": integrity}}
    files = [tmp_path / file.name for file in npm.FILES]
    for file, content in zip(files[:2], (wanted, {"lockfileVersion": 3, "packages": locked}), strict=True):
        file.write_text(json.dumps(content))
    files[2].write_text(npm.FILES[2].read_text())
    monkeypatch.setattr(npm, "FILES", files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        monkeypatch.setenv("npm_config_noproxy", "127.0.0.1")
        yield Registry
        server.shutdown()


def test_the_locked_packages_are_installed_once(registry: type[Registry], tmp_path: Path) -> None:
    modules = npm.packages(tmp_path / "cache")
    assert (modules / "thing" / "thing.js").read_text() == "let thing = 1;"
    assert npm.packages(tmp_path / "cache") == modules
    assert registry.asked.count("/thing.tgz") == 1
    assert list((tmp_path / "cache").iterdir()) == [modules.parent]  # nothing of the installation is left


def test_another_archive_is_refused(registry: type[Registry], tmp_path: Path) -> None:
    registry.archive = pack("let thing = 2;")
    with pytest.raises(npm.Unexpected, match=r"not what package-lock\.json expects"):
        npm.packages(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_network_or_a_place_there_is_one_line(
    registry: type[Registry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(npm.Unavailable, match="npm could not fetch the packages") as caught:
        npm.packages(tmp_path / "cache")
    assert not isinstance(caught.value, npm.Unexpected)
    (tmp_path / "a file").touch()
    with pytest.raises(npm.Unavailable, match="cannot be written"):
        npm.packages(tmp_path / "a file" / "cache")
