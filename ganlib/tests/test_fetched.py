"""A committed result is found in a checkout, or fetched once, whole, and only if it is the book's."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from ganlib.data import fetched

NAME = "book/results/one.json"
CONTENT = b'{"a": 1}\n' * 30_000


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A working folder, a home and an installation without a checkout, and a list with one result in it."""
    for name in ("work", "home", "site"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("GANLIB_RESULTS", raising=False)
    monkeypatch.setattr(fetched, "_installed_from", list)
    monkeypatch.setattr(fetched, "listed", lambda: {NAME: (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))})


@pytest.fixture
def site(tmp_path):
    """A server of the folder ``site``: its address, and the paths it was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "site")

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/top", asked
        server.shutdown()


def put(folder, content=CONTENT):
    path = folder / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def kept():
    return [path for path in (Path.home() / ".cache").rglob("*") if path.is_file()]


def test_a_checkout_around_the_working_folder_comes_first(tmp_path, monkeypatch, capsys):
    path = put(tmp_path)
    monkeypatch.setenv("GANLIB_RESULTS", "http://127.0.0.1:1/nobody")
    assert fetched.find(NAME) == path
    assert capsys.readouterr().out == ""


def test_a_folder_that_was_named_wins_and_the_one_installed_from_is_looked_at(tmp_path, monkeypatch):
    around, named, installed = (put(tmp_path / each) for each in ("work", "named", "installed"))
    monkeypatch.setattr(fetched, "_installed_from", lambda: [tmp_path / "installed"])
    assert fetched.find(NAME) == around
    monkeypatch.setenv("GANLIB_RESULTS", str(tmp_path / "named"))
    assert fetched.find(NAME) == named
    named.unlink()
    around.unlink()
    assert fetched.find(NAME) == installed


def test_pip_says_which_folder_ganlib_was_installed_from(tmp_path, monkeypatch):
    monkeypatch.undo()
    folder = tmp_path / "with space"

    class Distribution:
        text = None

        def read_text(self, name):
            return self.text if name == "direct_url.json" else None

    monkeypatch.setattr(fetched.metadata, "distribution", lambda name: Distribution())
    assert fetched._installed_from() == []
    for url, expected in ((folder.as_uri(), [folder]), ("https://example.org/o/r.git", []), ("broken", [])):
        Distribution.text = f'{{"url": "{url}", "dir_info": {{}}}}'
        assert fetched._installed_from() == expected


def test_it_is_fetched_once_and_said_in_one_line(tmp_path, monkeypatch, site, capsys):
    address, asked = site
    put(tmp_path / "site" / "top")
    monkeypatch.setenv("GANLIB_RESULTS", address + "/")
    path = fetched.find(NAME)
    assert path.read_bytes() == CONTENT
    assert path.name == "one.json"
    assert capsys.readouterr().out == "fetching one.json, 0.3 MB, a result committed with the book\n"
    assert fetched.find(NAME) == path
    assert asked == [f"/top/{NAME}"]
    assert capsys.readouterr().out == ""
    path.write_bytes(CONTENT[:-1])  # damaged in the cache: fetched again
    assert fetched.find(NAME).read_bytes() == CONTENT
    assert len(asked) == 2
    assert kept() == [path]


def test_what_the_address_sends_must_be_the_books(tmp_path, monkeypatch, site):
    put(tmp_path / "site" / "top", b"<html>not found</html>")
    monkeypatch.setenv("GANLIB_RESULTS", site[0])
    with pytest.raises(ValueError, match=r"sent another one\.json .*run this cell again, or clone"):
        fetched.find(NAME)
    assert kept() == []


def test_an_address_without_it_or_without_anybody_is_named(monkeypatch, site):
    for address in (site[0], "http://127.0.0.1:1/top"):
        monkeypatch.setenv("GANLIB_RESULTS", address)
        with pytest.raises(ConnectionError, match=rf"{address}/{NAME} cannot be fetched .*run this cell again"):
            fetched.find(NAME)
    assert kept() == []


def test_without_a_checkout_and_an_address_the_remedy_is_named():
    with pytest.raises(FileNotFoundError, match=r"one\.json is not here, and no address .*set GANLIB_RESULTS"):
        fetched.find(NAME)


def test_a_checkout_without_it_is_named(tmp_path):
    put(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} has no book/results/two\.json: .*reproduce --help"):
        fetched.find("book/results/two.json")
