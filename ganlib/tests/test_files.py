"""Files that are damaged or something else are refused by name, with a remedy; those that are sound are read alike."""

import errno
import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from ganlib import data
from ganlib.data import files, official

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
LABELS = (np.arange(10_000) % 10).astype(np.uint8)
TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx_bytes(array, kind="u1"):
    """As the format's description has it: two zeros, the type, the number of axes, big-endian sizes, the content."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, TYPES[kind], array.ndim, *array.shape)
    return header + array.astype(kind).tobytes()


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(idx_bytes(array))


def npz_bytes(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def mnist_test(folder, images=IMAGES, labels=LABELS):
    """MNIST's test files under a root; returns their paths."""
    paths = [folder / "MNIST" / "raw" / f"t10k-{name}-ubyte" for name in ("images-idx3", "labels-idx1")]
    for path, array in zip(paths, (images, labels), strict=True):
        write_idx(path, array)
    return paths


def says_remedy(name, root, *, beside=""):
    return (
        rf"(?s).*{beside}.*`python -m ganlib data get {name} --root {root}` gets it, as load\('{name}', download=True\)"
    )


WEB_PAGE = b"\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>" * 200
SOUND = idx_bytes(IMAGES)
# What makes the damaged bytes, and what is said of them.
IMAGE_DAMAGE = {
    "empty": (lambda: b"", r"is empty \(0 bytes\)"),
    "a web page": (lambda: WEB_PAGE, "is a web page"),
    "a zipped web page": (lambda: gzip.compress(WEB_PAGE), "is a web page"),
    "a Git LFS pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        "is a Git LFS pointer",
    ),
    "cut in the header": (lambda: SOUND[:9], "is cut short: 9 bytes of 7,840,016"),
    "cut in the type": (lambda: SOUND[:2], "is cut short: 2 bytes of 7,840,016"),
    "cut in the middle": (lambda: SOUND[: len(SOUND) // 2], "is cut short: 3,920,008 bytes of 7,840,016"),
    "cut at the end": (lambda: SOUND[:-1], "is cut short: 7,840,015 bytes of 7,840,016"),
    "too long": (lambda: SOUND + b"\0", "is longer than the 7,840,016 bytes"),
    "gzip cut in the middle": (lambda: gzip.compress(SOUND, 1)[:-5000], "is damaged gzip, or is cut short"),
    "gzip cut in the header": (lambda: b"\x1f\x8b\x08\x00", "is damaged gzip, or is cut short"),
    "gzip of other bytes": (lambda: b"\x1f\x8b\x08" + bytes(100), "is damaged gzip"),
    "random bytes": (lambda: RNG.bytes(5000), "is no IDX file: it begins with b"),
    "three bytes": (lambda: b"\0\0\x09", "is no IDX file: it begins with b"),
    "zeros": (lambda: bytes(len(SOUND)), "is no IDX file"),
    "another type": (
        lambda: idx_bytes(IMAGES, ">f4"),
        r"float32 of shape \(10000, 28, 28\), where uint8 of shape \(10000, ",
    ),
    "100 images": (
        lambda: idx_bytes(IMAGES[:100]),
        r"uint8 of shape \(100, 28, 28\), where uint8 of shape \(10000, 28,",
    ),
    "12 x 12": (lambda: idx_bytes(IMAGES[:, :12, :12]), r"holds uint8 of shape \(10000, 12, 12\)"),
    "labels": (lambda: idx_bytes(LABELS), r"holds uint8 of shape \(10000,\)"),
    "no axes": (lambda: bytes([0, 0, 8, 0]), r"holds uint8 of shape \(\)"),
    "many axes": (lambda: bytes([0, 0, 8, 255]) + bytes(2000), "holds uint8 of shape"),
}
LABEL_DAMAGE = {
    "of all images": (
        lambda: idx_bytes(np.tile(LABELS, 6)),
        r"uint8 of shape \(60000,\), where uint8 of shape \(10000,\)",
    ),
    "labels 255": (lambda: idx_bytes(np.full(10_000, 255)), "has the labels 255, where each of 0 to 9 belongs"),
    "labels 0": (lambda: idx_bytes(np.zeros(10_000)), "has the labels 0, where"),
    "many labels": (
        lambda: idx_bytes(np.arange(10_000) % 256),
        "has the labels 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., where",
    ),
    "cut short": (lambda: idx_bytes(LABELS)[:-7], "is cut short: 10,001 bytes of 10,008"),
}
# Where CIFAR-10 is to be short, its test set has 1,000 images: see small_cifar10.
RECORDS = np.concatenate([LABELS[:1000, None], RNG.integers(0, 256, (1000, 3072), dtype=np.uint8)], axis=1)
RECORD_DAMAGE = {
    "empty": (lambda: b"", r"is empty \(0 bytes\)"),
    "a web page": (lambda: WEB_PAGE, "is a web page"),
    "cut": (lambda: RECORDS[:-1].tobytes(), "is cut short: 3,069,927 bytes of 3,073,000"),
    "too long": (lambda: RECORDS.tobytes() + b"0", "is longer than the 3,073,000 bytes"),
    "a label 10": (lambda: (RECORDS + np.uint8(1)).tobytes(), "has the labels 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, where"),
    "CIFAR-100": (lambda: RECORDS[:, :1].repeat(3074, 1).tobytes(), "is longer than"),
}
NPZ_IMAGES = RECORDS[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def npz_of(**arrays):
    return npz_bytes(**({"test_images": NPZ_IMAGES, "test_labels": LABELS[:1000]} | arrays))


def flipped():
    """One bit of the pixels changed: the zip's own checksum sees it."""
    content = npz_of()
    return content[:1_000_000] + bytes([content[1_000_000] ^ 1]) + content[1_000_001:]


def text_inside():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("test_images.npy", "no array")
        archive.writestr("test_labels.npy", "no array")
    return buffer.getvalue()


NPZ_DAMAGE = {
    "empty": (lambda: b"", r"is empty \(0 bytes\)"),
    "a web page": (lambda: WEB_PAGE, "is a web page"),
    "cut": (lambda: npz_of()[:1_500_000], r"is no \.npz file, or is cut short"),
    "an IDX file": (lambda: idx_bytes(LABELS), r"is no \.npz file"),
    "a pickle": (lambda: b"cos\nsystem\n(S'true'\ntR.", r"is no \.npz file"),
    "one bit": (flipped, r"is damaged, or holds what is no array \(.*CRC"),
    "objects": (lambda: npz_of(test_labels=np.array([{}], object)), "is damaged, or holds what is no array"),
    "text": (text_inside, r"test_images is .* of shape \(\), where uint8|holds what is no array"),
    "other keys": (lambda: npz_bytes(x=LABELS, y=LABELS), "holds x, y, where test_images and test_labels belong"),
    "one key": (lambda: npz_bytes(test_images=LABELS), "holds test_images, where test_images and test_labels belong"),
    "floats": (
        lambda: npz_of(test_images=np.ones((9, 32, 32, 3), "f4")),
        r"test_images is float32 of shape \(9, 32, 32",
    ),
    "channels first": (
        lambda: npz_of(test_images=NPZ_IMAGES.reshape(-1, 3, 32, 32)),
        r"test_images is uint8 of shape \(1000, 3, 32, 32\), where uint8 of shape \(1000, 32, 32, 3\)",
    ),
    "few": (lambda: npz_of(test_images=NPZ_IMAGES[:999]), r"\(999, 32, 32, 3\), where"),
    "labels fewer": (
        lambda: npz_of(test_labels=LABELS[1:]),
        r"test_labels is uint8 of shape \(9999,\), where integers",
    ),
    "labels NaN": (lambda: npz_of(test_labels=np.full(1000, np.nan)), "test_labels is float64"),
    "labels in a column": (
        lambda: npz_of(test_labels=LABELS[:1000, None]),
        r"test_labels is uint8 of shape \(1000, 1\)",
    ),
    "labels 255": (lambda: npz_of(test_labels=LABELS[:1000].astype(int) + 255), "has the labels 255, 256"),
    "labels below 0": (lambda: npz_of(test_labels=LABELS[:1000].astype(int) - 1), "has the labels -1, 0"),
}


@pytest.fixture
def small_cifar10(monkeypatch):
    monkeypatch.setattr(official, "RECORDS", 1000)
    monkeypatch.setitem(official.SETS["cifar10"].sizes, "test", 1000)


def refused(name, root, path, content, says):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content())
    with pytest.raises(ValueError, match=says_remedy(name, root, beside=f"{path}.*(?:{says})")) as caught:
        data.load(name, "test", root)
    assert isinstance(caught.value, data.DataError)
    assert caught.value.__cause__ is None
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize("kind", IMAGE_DAMAGE)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_images_of_mnist(tmp_path, kind, suffix):
    images, _ = mnist_test(tmp_path)
    images.unlink()
    refused("mnist", tmp_path, images.with_name(images.name + suffix), *IMAGE_DAMAGE[kind])


@pytest.mark.parametrize("kind", LABEL_DAMAGE)
def test_damaged_labels_of_mnist(tmp_path, kind):
    _, labels = mnist_test(tmp_path)
    refused("mnist", tmp_path, labels, *LABEL_DAMAGE[kind])


@pytest.mark.parametrize("kind", RECORD_DAMAGE)
def test_damaged_files_of_the_binary_cifar10(tmp_path, kind, small_cifar10):
    refused("cifar10", tmp_path, tmp_path / "cifar-10-batches-bin" / "test_batch.bin", *RECORD_DAMAGE[kind])


@pytest.mark.parametrize("kind", NPZ_DAMAGE)
def test_damaged_npz_files(tmp_path, kind, small_cifar10):
    refused("cifar10", tmp_path, tmp_path / "cifar10.npz", *NPZ_DAMAGE[kind])


def test_an_npz_of_another_data_set_is_refused(tmp_path, small_cifar10):
    refused("mnist", tmp_path, tmp_path / "mnist.npz", npz_of, r"\(1000, 32, 32, 3\), where .*\(10000, 28, 28, 1\)")
    says = r"\(10000, 28, 28\), where uint8 of shape \(1000, 32, 32, 3\)"
    refused("cifar10", tmp_path, tmp_path / "cifar10.npz", lambda: npz_of(test_images=IMAGES), says)


@pytest.mark.parametrize("name", ["mnist.npz", "MNIST/raw/t10k-labels-idx1-ubyte", "TFD_48x48.mat"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, name):
    if "raw" in name:
        mnist_test(tmp_path)[1].unlink()
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(data.DataError, match=rf"{tmp_path / name} is a folder, where a file belongs: move it away"):
        data.load("tfd" if "TFD" in name else "mnist", "test", tmp_path)


def test_what_cannot_be_read_is_there_and_says_why(tmp_path):
    """The system's own reason; a link to itself stands for what even root may not read."""
    for name, path in (("mnist", mnist_test(tmp_path)[0]), ("tfd", tmp_path / "TFD_48x48.mat")):
        path.unlink(missing_ok=True)
        path.symlink_to(path.name)
        with pytest.raises(data.DataError, match=rf"{path} cannot be read \(.*symbolic links\)"):
            data.load(name, "test", tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_read_permission_is_named(tmp_path):
    images, _ = mnist_test(tmp_path)
    images.chmod(0)
    with pytest.raises(data.DataError, match=rf"{images} cannot be read \(Permission denied\)"):
        data.load("mnist", "test", tmp_path)
    images.parent.chmod(0)
    try:
        with pytest.raises(data.DataError, match=r"cannot be read \(Permission denied\)"):
            data.load("mnist", "test", tmp_path)
    finally:
        images.parent.chmod(0o700)


def test_missing_files_are_named_beside_those_that_are_there(tmp_path):
    mnist_test(tmp_path)[0].unlink()
    with pytest.raises(FileNotFoundError, match=r"no MNIST under .* \(MNIST/raw lacks t10k-images-idx3-ubyte\)"):
        data.load("mnist", "test", tmp_path)
    with pytest.raises(FileNotFoundError, match="no MNIST under"):
        data.load("mnist", "test", tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte")  # a file for a root


def test_the_remedy_names_no_folder_where_the_default_is_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLIB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="`python -m ganlib data get mnist` gets it"):
        data.load("mnist")
    with pytest.raises(FileNotFoundError, match=r"`python -m ganlib data get mnist --root 'a b'` gets it"):
        data.load("mnist", root="a b")


def test_gzip_is_read_as_what_is_in_it_whatever_the_name(tmp_path):
    images, labels = mnist_test(tmp_path / "plain")
    expected = data.load("mnist", "test", tmp_path / "plain")
    assert torch.equal(expected.pixels[:, 0], torch.from_numpy(IMAGES))
    assert expected.labels.tolist() == LABELS.tolist()
    zipped = mnist_test(tmp_path / "zipped")
    zipped[0].with_suffix(".gz").write_bytes(gzip.compress(images.read_bytes(), 1))
    zipped[0].unlink()
    zipped[1].write_bytes(gzip.compress(labels.read_bytes()))  # under the plain name
    assert data.load("mnist", "test", tmp_path / "zipped").sha256 == expected.sha256
    zipped[0].with_suffix(".gz").write_bytes(images.read_bytes())  # unpacked by a browser that kept the name
    assert data.load("mnist", "test", tmp_path / "zipped").sha256 == expected.sha256


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
@pytest.mark.parametrize("axes", [3, 4])
def test_npz_files_of_mnist_stand_in_for_missing_official_files(tmp_path, name, folder, axes):
    images = IMAGES if axes == 3 else IMAGES[..., None]
    (tmp_path / f"{name}.npz").write_bytes(npz_bytes(test_images=images, test_labels=LABELS.astype(np.int64)))
    found = data.load(name, "test", tmp_path)
    assert found.source == f"{name}.npz"
    assert torch.equal(found.pixels, torch.from_numpy(IMAGES[:, None]))
    for path in mnist_test(tmp_path / "official"):
        (tmp_path / folder / "raw").mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / folder / "raw" / path.name)
    official = data.load(name, "test", tmp_path)
    assert official.source == f"{folder}/raw"
    assert official.sha256 == found.sha256


def test_an_npz_may_have_kerass_names(tmp_path):
    (tmp_path / "mnist.npz").write_bytes(npz_bytes(x_test=IMAGES, y_test=LABELS.astype(np.int64)))
    assert torch.equal(data.load("mnist", "test", tmp_path).pixels, torch.from_numpy(IMAGES[:, None]))


class Bomb:
    def __reduce__(self):
        return exec, ("raise AssertionError('a pickle was opened')",)


def test_no_pickle_of_torchvision_is_opened(tmp_path, monkeypatch):
    """Older versions of torchvision left MNIST as pickles, which torchvision.datasets.MNIST still reads first."""
    folder = tmp_path / "MNIST" / "processed"
    folder.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save(Bomb(), folder / name)

    def load(*_, **__):
        raise AssertionError("torch.load was called")

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(FileNotFoundError, match="no MNIST"):
        data.load("mnist", "test", tmp_path)
    mnist_test(tmp_path)
    assert len(data.load("mnist", "test", tmp_path)) == 10_000


def test_a_full_memory_is_no_damage(tmp_path, monkeypatch, small_cifar10):
    def full(*_, **__):
        raise MemoryError("Unable to allocate 29 MiB")

    (tmp_path / "cifar10.npz").write_bytes(npz_of())
    monkeypatch.setattr(official.np, "load", full)
    with pytest.raises(MemoryError, match="29 MiB"):
        data.load("cifar10", "test", tmp_path)


def dead():
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_half_written_goes_before_anything_is_written(tmp_path, monkeypatch):
    """It may be what fills the disk: nothing else then fits, and so nothing would ever clear it away."""
    left = [tmp_path / f".{name}.{dead()}-0123456789abcdef.tmp" for name in ("results.json", "other.safetensors")]
    strangers = [
        ".notes.tmp",
        f".results.json.{os.getppid()}-0123456789abcdef.tmp",
        f"r.{dead()}-0123.tmp",
        ".x.0-1.tmp",
    ]
    for name in (*left, *strangers):
        (tmp_path / name).write_bytes(b"half")
    fsync = os.fsync

    def full(descriptor):
        if any(path.exists() for path in left):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    path = files.write(tmp_path / "results.json", b"whole")
    assert {each.name for each in tmp_path.iterdir()} == {path.name, *strangers}
    assert path.read_bytes() == b"whole"


def test_what_this_process_is_writing_stays(tmp_path):
    """Two files at once, as in two threads."""

    def pieces():
        yield b"one, "
        files.write(tmp_path / "inner", b"inner")
        yield b"two"

    assert files.write(tmp_path / "outer", pieces()).read_bytes() == b"one, two"
    assert {each.name for each in tmp_path.iterdir()} == {"inner", "outer"}


@pytest.mark.parametrize("name", ["x" * 255, "\u00e9" * 127, "\U0001d53e" * 63])
def test_the_longest_names_can_be_written(tmp_path, name):
    files.write(tmp_path / name, b"")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_write_that_fails_names_the_file_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = files.write(tmp_path / "a.bin", b"first")
    monkeypatch.setattr(os, "replace", lambda *_: os.stat(tmp_path / "a.bin" / "b"))
    with pytest.raises(OSError, match="Not a directory"):
        files.write(path, b"second")
    with pytest.raises(FileNotFoundError, match=r"none/a\.bin"):
        files.write(tmp_path / "none" / "a.bin", b"", make_folder=False)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.bin": b"first"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"a": {"b": 1, "c": 2, "b": 1}}', "'b' twice"),
        ("[NaN]", "NaN, which is no finite number"),
        ("-Infinity", "-Infinity, which is no finite number"),
        ("1e400", "1e400, which is no finite number"),
        ("1" * 21, "an integer of 21 digits"),
        ("1" * 5000, "an integer of 5000 digits"),
        ("[" * 51 + "]" * 51, "more than 50 deep"),
        ('{"a":' * 51 + "1" + "}" * 51, "more than 50 deep"),
        ("[" * 100_000 + "]" * 100_000, "deep"),
        (r'"\ud800"', "surrogates"),
        ("{", "Expecting"),
        ("", "Expecting value"),
    ],
)
def test_json_that_says_two_things_or_none_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        files.parsed(text.encode())


def test_other_json_is_what_the_standard_library_reads():
    for value in ({"a": [1, -2.5, 1e-300, None, True, "\u00e9\U0001d53e"], "": {}}, [[]] * 40, 2**63, "\ud83d\ude00"):
        text = json.dumps(value)
        assert files.parsed(text.encode()) == json.loads(text)
    assert files.parsed(("[" * 50 + "]" * 50).encode())
