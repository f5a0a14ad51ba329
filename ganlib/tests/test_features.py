"""The digit classifier: its features against SciPy's arithmetic, its weights against their JSON, its training twice."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy.signal import correlate2d

from ganlib import data
from ganlib.errors import FeaturesError
from ganlib.lab import studies
from ganlib.lab.studies import classifier
from ganlib.metrics import features
from ganlib.metrics.classifier import DigitClassifier
from ganlib.metrics.features import digit_classes, digit_classifier, digit_features

SMALL = {"data": "digits", "width": 4, "hidden": 8, "epochs": 2, "batch": 20, "lr": 0.005}


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", "test")


@pytest.fixture(scope="module")
def result():
    return json.loads((features.ASSETS / features.RESULT).read_text())


@pytest.fixture(scope="module")
def small():
    settings = studies.settings("classifier", SMALL)
    return settings, classifier.study(settings, torch.device("cpu"), None, lambda line: None)


def test_features_and_logits_are_the_layers_that_they_say(digits):
    image = digits.floats(slice(7, 8))
    w = {name: tensor.double().numpy() for name, tensor in digit_classifier().state_dict().items()}

    def convolve(maps, weight, bias):
        padded = [np.pad(each, 2) for each in maps]
        sums = [sum(correlate2d(m, k, "valid") for m, k in zip(padded, kernels, strict=True)) for kernels in weight]
        return np.maximum(np.stack(sums)[:, ::2, ::2] + bias[:, None, None], 0)

    first = convolve(image[0].double().numpy(), w["conv1.weight"], w["conv1.bias"])
    second = convolve(first, w["conv2.weight"], w["conv2.bias"])
    hidden = np.maximum(w["hidden.weight"] @ second.ravel() + w["hidden.bias"], 0)
    np.testing.assert_allclose(digit_features(image)[0], hidden, rtol=1e-4, atol=1e-4)
    logits = w["output.weight"] @ hidden + w["output.bias"]
    np.testing.assert_allclose(digit_classifier()(image)[0], logits, rtol=1e-4, atol=1e-4)
    assert digit_classes(image).item() == logits.argmax() == digits.labels[7]


def test_flat_images_square_ones_and_small_batches_have_the_same_features(digits):
    images = digits.floats(slice(25))
    found = digit_features(images)
    assert found.shape == (25, 64)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    torch.testing.assert_close(digit_features(images.flatten(1)), found)
    torch.testing.assert_close(digit_features(images, batch=10), found, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(digit_features(images.double(), digit_classifier()), found)


def test_the_committed_classifier_is_the_named_studys_and_small(result):
    weights = features.ASSETS / features.WEIGHTS
    assert weights.stat().st_size < 2**20
    assert result["files"] == {features.WEIGHTS: {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}}
    assert (result["study"], result["changed"]) == ("classifier", {})
    assert result["settings"] == vars(classifier.Settings())
    assert [split["examples"] for split in result["data"]] == [50_000, 10_000, 10_000]
    score = result["figures"]["test_accuracy"]
    assert score["value"] > 0.99
    assert score["n"] == 10_000
    assert score["plus_minus"] == pytest.approx((score["value"] * (1 - score["value"]) / 10_000) ** 0.5)
    net = digit_classifier()
    assert not net.training
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_committed_accuracies_are_those_of_the_committed_weights(result, split):
    try:
        images = data.load("mnist", split)
    except FileNotFoundError:
        pytest.skip("full MNIST is not on this machine")
    name = {"valid": "validation_accuracy", "test": "test_accuracy"}[split]
    right = int((digit_classes(images.floats()) == images.labels).sum())
    assert right == pytest.approx(result["figures"][name]["value"] * len(images), abs=2)  # rounding may turn an image


def test_the_committed_classifier_reads_the_embedded_digits(digits):
    assert (digit_classes(digits.floats()) == digits.labels).double().mean() > 0.98


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 784, dtype=torch.uint8), r"torch.uint8 and must be finite floats in \[0, 1\]"),
        (torch.full((2, 784), -0.1), "must be finite floats"),
        (torch.full((2, 784), 1.5), "must be finite floats"),
        (torch.full((2, 784), torch.nan), "not finite"),
        (torch.zeros(2, 785), r"\(2, 785\); give \(m, 1, 28, 28\) or \(m, 784\)"),
        (torch.zeros(2, 3, 28, 28), r"\(2, 3, 28, 28\)"),
        (torch.zeros(0, 784), r"images is \(0, 784\)"),
    ],
)
def test_images_that_are_none_are_refused(images, says):
    with pytest.raises(ValueError, match=says):
        digit_features(images)
    with pytest.raises(ValueError, match=says):
        digit_classes(images)


@pytest.fixture
def copied(tmp_path):
    for name in (features.WEIGHTS, features.RESULT):
        shutil.copy(features.ASSETS / name, tmp_path / name)
    return tmp_path


def _describe(folder, content):
    (folder / features.WEIGHTS).write_bytes(content)
    files = {features.WEIGHTS: {"sha256": hashlib.sha256(content).hexdigest()}}
    (folder / features.RESULT).write_text(json.dumps({"files": files}))


def test_one_bit_of_the_weights_is_noticed(copied):
    digit_classifier(copied)
    content = bytearray((copied / features.WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copied / features.WEIGHTS).write_bytes(content)
    with pytest.raises(FeaturesError, match=r"digit-classifier.safetensors has sha256 .* classifier.json names"):
        digit_classifier(copied)


@pytest.mark.parametrize("name", [features.WEIGHTS, features.RESULT])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(FeaturesError, match=f"{name} cannot be read .*python -m ganlib study classifier"):
        digit_classifier(copied)


@pytest.mark.parametrize(
    ("text", "says"), [("{", "cannot be read"), ("{}", "names no sha256"), ("[]", "names no sha256")]
)
def test_a_result_without_the_hash_is_refused(copied, text, says):
    (copied / features.RESULT).write_text(text)
    with pytest.raises(FeaturesError, match=f"classifier.json {says}"):
        digit_classifier(copied)


def test_other_files_are_no_classifier_even_with_their_hash(copied):
    _describe(copied, b"not a tensor in it")
    with pytest.raises(FeaturesError, match="holds no weights of a digit classifier"):
        digit_classifier(copied)
    _describe(copied, safetensors.torch.save({"conv1.weight": torch.zeros(4, 1, 5, 5)}))
    with pytest.raises(FeaturesError, match="holds no weights"):
        digit_classifier(copied)
    net = DigitClassifier(2, 3)
    torch.nn.init.constant_(net.output.bias, torch.inf)
    _describe(copied, features.classifier_file(net))
    with pytest.raises(FeaturesError, match=r"weights are not finite in output\.bias"):
        digit_classifier(copied)


def test_what_the_study_says_is_true_of_the_weights_it_returns(small, digits):
    _, outcome = small
    net = features.classifier_from(outcome.files[features.WEIGHTS])
    assert net.features(digits.floats()).shape == (500, 8)
    score = outcome.figures["test_accuracy"]
    assert score["value"] == (digit_classes(digits.floats(), net) == digits.labels).double().mean().item()
    assert score["n"] == 500
    assert score["value"] > 0.5  # chance is .1
    assert [point["epoch"] for point in outcome.figures["curve"]] == [1, 2]
    assert [images.split for images in outcome.data] == list(data.SPLITS)


def test_training_again_gives_the_same_bytes_whatever_the_random_state_and_the_threads(small):
    settings, outcome = small
    torch.manual_seed(123)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        again = classifier.study(settings, torch.device("cpu"), None, lambda line: None)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert again.files == outcome.files
    assert torch.equal(torch.get_rng_state(), state)
    other = classifier.study(studies.settings("classifier", SMALL | {"seed": 1}), torch.device("cpu"), None, print)
    assert other.files != outcome.files


def test_shifts_move_whole_images_and_bring_in_nothing():
    images = torch.rand(300, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    moved = classifier.shifted(images, 1, torch.Generator().manual_seed(1))
    ways = [
        torch.nn.functional.pad(images, (1, 1, 1, 1))[:, :, y : y + 6, x : x + 6] for y in range(3) for x in range(3)
    ]
    which = torch.stack([(moved == way).all((1, 2, 3)) for way in ways])
    assert (which.sum(0) == 1).all()  # each image is one of its nine shifts
    assert (which.sum(1) > 10).all()  # and every shift occurs, about 33 times
    assert classifier.shifted(images, 0, torch.Generator()) is images


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"data": "cifar10"}, "data is 'cifar10'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch": -1}, "batch is -1"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"shift": 28}, "shift is 28"),
        ({"shift": -1}, "shift is -1"),
        ({"hidden": "many"}, "hidden is 'many'"),
    ],
)
def test_impossible_settings_are_refused_by_name(overrides, says):
    with pytest.raises(ValueError, match=says):
        studies.settings("classifier", overrides)


def test_sizes_of_the_net_are_checked():
    with pytest.raises(ValueError, match="width is 0"):
        DigitClassifier(0)
    with pytest.raises(TypeError, match=r"epochs is 1\.5"):
        classifier.Settings(epochs=1.5)
