"""Features of digits, to compare sets of images by: the last hidden layer of a small classifier that ships with ganlib.

The weights and the result that describes them (settings, accuracy, how they were made) lie under ``assets``;
``python -m ganlib study classifier --folder ganlib/assets`` makes both again. The classifier was trained on MNIST's
training images, so it knows those better than others: compare images of a generator with test images.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ganlib.checkpoint import CheckpointError
from ganlib.files import read_json
from ganlib.nets.classifier import DigitClassifier
from ganlib.sampling import evaluating
from ganlib.weights import filled

ASSETS = Path(__file__).parent / "assets"
WEIGHTS = "digit-classifier.safetensors"
RESULT = "classifier.json"
_AGAIN = "make both again: python -m ganlib study classifier --folder FOLDER"
LAYER = "the last hidden layer of ganlib's digit classifier, after its ReLU"


class FeaturesError(ValueError):
    """A classifier that cannot be used; the message names the file and the reason."""


def digit_classifier(folder: str | Path = ASSETS) -> DigitClassifier:
    """The committed classifier, on the CPU in float32 and evaluation mode, its weights not trainable.

    Parameters
    ----------
    folder : where its weights and the JSON that names their SHA-256 are.

    Raises
    ------
    FeaturesError
        If a file is missing or damaged, the hash differs, or the weights are not a `DigitClassifier`'s.
    """
    weights, result = Path(folder) / WEIGHTS, Path(folder) / RESULT
    try:
        content = weights.read_bytes()
    except OSError as error:
        raise FeaturesError(f"{error.filename} cannot be read ({error.strerror}); {_AGAIN}") from None
    try:
        described = read_json(result)
    except ValueError as error:
        raise FeaturesError(f"{result} cannot be read as JSON ({error}); {_AGAIN}") from None
    try:
        wanted = described["files"][WEIGHTS]["sha256"]
    except (KeyError, TypeError):
        raise FeaturesError(f"{result} names no sha256 of {WEIGHTS}; {_AGAIN}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise FeaturesError(f"{weights} has sha256 {found}, {result.name} names {wanted}; {_AGAIN}")
    return classifier_from(content, str(weights))


def classifier_from(content: bytes, name: str = "the file") -> DigitClassifier:
    """A classifier from the bytes of a safetensors file, as `classifier_file` gives; errors as `digit_classifier`."""
    try:
        tensors = safetensors.torch.load(content)
        sizes = [tensors[layer].shape[0] for layer in ("conv1.weight", "hidden.weight")]
        net = filled(lambda: DigitClassifier(*sizes), tensors, Path(name), "a digit classifier")
    except CheckpointError as error:
        raise FeaturesError(str(error)) from None
    except (SafetensorError, KeyError, IndexError) as error:
        raise FeaturesError(f"{name}: holds no weights of a digit classifier ({error})") from None
    assert isinstance(net, DigitClassifier)
    return net.eval().requires_grad_(False)


def classifier_file(net: DigitClassifier) -> bytes:
    """The weights in half precision as the bytes of a safetensors file; the same weights give the same bytes."""
    return safetensors.torch.save({name: weight.half().cpu() for name, weight in net.state_dict().items()})


def digit_features(images: Tensor, net: DigitClassifier | None = None, *, batch: int = 1000) -> Tensor:
    """Features of images, the outputs of `LAYER`.

    Parameters
    ----------
    images : (n, 784) or (n, 1, 28, 28) float in [0, 1], n >= 1; on any device, where the computation runs.
    net : a classifier instead of the committed one, which is then not moved; it must be on the images' device.
    batch : images at once, >= 1; changes memory, not the features beyond rounding.

    Returns
    -------
    Tensor
        (n, 64) float32 on the images' device, >= 0.

    Raises
    ------
    ValueError
        If the images have another shape, leave [0, 1] or are not finite, or there are none.
    FeaturesError
        As `digit_classifier`.

    Examples
    --------
    >>> digit_features(torch.zeros(3, 784)).shape
    torch.Size([3, 64])
    """
    net = _ready(images, net, batch)
    with evaluating(net):
        return torch.cat([net.features(part.float()) for part in images.split(batch)])


def digit_classes(images: Tensor, net: DigitClassifier | None = None, *, batch: int = 1000) -> Tensor:
    """The digit that the classifier sees in each image, (n,) int64; arguments and errors as `digit_features`."""
    net = _ready(images, net, batch)
    with evaluating(net):
        return torch.cat([net(part.float()).argmax(1) for part in images.split(batch)])


def _ready(images: Tensor, net: DigitClassifier | None, batch: int) -> DigitClassifier:
    if batch < 1 or not len(images):
        raise ValueError(f"there are {len(images)} images and batch is {batch}; give at least 1 of each")
    # Written so that an image that is not a number is refused too.
    if not (images.is_floating_point() and images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"images are {images.dtype} and must be finite floats in [0, 1]: scale them, see to_unit")
    return digit_classifier().to(images.device) if net is None else net
