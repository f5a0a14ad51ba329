"""Features of digits, to compare sets of images by: the last hidden layer of a small classifier that ships with ganlib.

The weights and the result that describes them (settings, accuracy, how they were made) lie under ``assets``;
``python -m ganlib study classifier --folder ganlib/metrics/assets`` makes both again. The classifier was trained on
MNIST's training images, so it knows those better than others: compare images of a generator with test images.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ganlib import limits, tensors
from ganlib.data.files import read_json
from ganlib.errors import CheckpointError, FeaturesError
from ganlib.metrics.classifier import DigitClassifier
from ganlib.nets.weights import filled, half
from ganlib.sampling import evaluating

ASSETS = Path(__file__).parent / "assets"
WEIGHTS = "digit-classifier.safetensors"
RESULT = "classifier.json"
_AGAIN = "make both again: python -m ganlib study classifier --folder FOLDER"
LAYER = "the last hidden layer of ganlib's digit classifier, after its ReLU"


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
    limits.kind("folder", folder, (str, Path))
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
    limits.kind("content", content, bytes)
    try:
        stored = safetensors.torch.load(content)
        sizes = [stored[layer].shape[0] for layer in ("conv1.weight", "hidden.weight")]
        net = filled(lambda: DigitClassifier(*sizes), stored, Path(name), "a digit classifier")
    except CheckpointError as error:
        raise FeaturesError(str(error)) from None
    except (SafetensorError, KeyError, IndexError) as error:
        raise FeaturesError(f"{name}: the content holds no weights of a digit classifier ({error})") from None
    assert isinstance(net, DigitClassifier)
    return net.eval().requires_grad_(False)


def classifier_file(net: DigitClassifier) -> bytes:
    """The weights in half precision as the bytes of a safetensors file; the same weights give the same bytes."""
    limits.kind("net", net, DigitClassifier)
    return safetensors.torch.save({name: weight.cpu() for name, weight in half(net.state_dict()).items()})


def digit_features(images: Tensor, net: DigitClassifier | None = None, *, batch: int = 1000) -> Tensor:
    """Features of images, the outputs of `LAYER`.

    Parameters
    ----------
    images : (n, 784) or (n, 1, 28, 28) in [0, 1], n >= 1; on any device, where the computation runs. Integers would
        be 0..255 as a rule, so they are refused.
    net : a classifier instead of the committed one, which is then not moved; it must be on the images' device.
    batch : images at once, >= 1; changes memory, not the features beyond rounding.

    Returns
    -------
    Tensor
        (n, 64) float32 on the images' device, >= 0.

    Raises
    ------
    TypeError, ValueError
        If the images are no floats, have another shape, leave [0, 1] or are not finite, or there are none.
    FeaturesError
        As `digit_classifier`.

    Examples
    --------
    >>> digit_features(torch.zeros(3, 784)).shape
    torch.Size([3, 64])
    """
    net, batch = _ready(images, net), limits.check("batch", batch)
    with evaluating(net):
        return torch.cat([net.features(part.float()) for part in images.split(batch)])


def digit_classes(images: Tensor, net: DigitClassifier | None = None, *, batch: int = 1000) -> Tensor:
    """The digit that the classifier sees in each image, (n,) int64; arguments and errors as `digit_features`."""
    net, batch = _ready(images, net), limits.check("batch", batch)
    with evaluating(net):
        return torch.cat([net(part.float()).argmax(1) for part in images.split(batch)])


def _ready(images: Tensor, net: DigitClassifier | None) -> DigitClassifier:
    found = tensors.real("images", images, rank=2)
    if not images.is_floating_point() or found.min() < 0 or found.max() > 1:
        raise ValueError(f"images are {images.dtype} and must be finite floats in [0, 1]: scale them, see to_unit")
    if net is None:
        return digit_classifier().to(images.device)
    limits.kind("net", net, DigitClassifier)
    if tensors.device_of(net) != images.device:
        raise ValueError(f"images are on {images.device}, the net on {tensors.device_of(net)}: put both on one device")
    return net
