"""The sets of images that the study "eyes" looks at: generators' samples, and lists of images to know a measure by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ganlib.data import load
from ganlib.data.images import Images
from ganlib.errors import Diverged
from ganlib.lab import runs
from ganlib.lab.generators import Trained, open_trained
from ganlib.lab.measure import to_unit
from ganlib.lab.models import vae
from ganlib.lab.studies.common import read
from ganlib.metrics.classifier import SIDE
from ganlib.metrics.kmeans import kmeans
from ganlib.sampling import sample


@dataclass(frozen=True)
class ImageSet:
    """Images of one kind, drawn several times.

    Parameters
    ----------
    name : a short one.
    what : a phrase.
    draws : (n, 784) each in [0, 1], one n.
    finite : it is a list of n images to draw from, in each of its draws, and no law with more of them.
    """

    name: str
    what: str
    draws: list[Tensor]
    finite: bool = False


def generators(
    data: str,
    names: Sequence[str],
    decoder: str,
    n: int,
    seeds: Sequence[int],
    folder: Path,
    device: torch.device,
    inputs: dict[str, str],
) -> Iterator[ImageSet]:
    """n samples a seed of each trained generator; all files are read at the call, each hash noted in ``inputs``.

    Parameters
    ----------
    data : what they must have been trained on.
    names : files by ``reproduce`` without ".safetensors".
    decoder : a VAE's, with its ending; empty for none.
    folder : where they are.

    Raises
    ------
    FileNotFoundError, CheckpointError
        If a file is missing or damaged, or says that it was trained on other images than those here.
    ValueError
        If a generator is of other data.
    Diverged
        If a sample is not finite.
    """
    trained = opened(data, names, folder, inputs)
    averages = None
    if decoder:
        averages = vae.load_decoder(read(folder, decoder, inputs), load(data).sha256).to(device)

    def drawn() -> Iterator[ImageSet]:
        for name, each in zip(names, trained, strict=True):
            run, generator = each.run, each.generator(device=device)
            what = f"samples of {described(each)}"
            draws = [to_unit(run, _finite(sample(generator, runs.latent(run), n, seed=s), name)) for s in seeds]
            yield ImageSet(name, what, [images.flatten(1) for images in draws])
        if averages is not None:
            draws = [_finite(vae.samples(averages, n, seed=s), decoder).clamp(0, 1) for s in seeds]
            yield ImageSet(Path(decoder).stem, "means of a VAE's decoder, draws of z from its prior", draws)

    return drawn()


def opened(data: str, names: Sequence[str], folder: Path, inputs: dict[str, str]) -> list[Trained]:
    """The trained generators of these names, each hash noted in ``inputs``; parameters and errors as `generators`."""
    trained = [open_trained(read(folder, f"{name}.safetensors", inputs))[0] for name in names]
    for each in trained:
        run, path = each.run, each.checkpoint.path
        if run.data != data or run.channels != 1 or run.image_size != SIDE or run.preprocessing == "gcn":
            raise ValueError(f"{path} is of {run.name} on {run.data!r}; give generators of {data!r} images")
        each.check_data()
    return trained


def described(trained: Trained) -> str:
    """Which training a generator comes from, in words."""
    what = f"{trained.run.name}, training seed {trained.seeds[0]}, iteration {trained.iteration:,}"
    if averaged := trained.checkpoint.record.get("snapshots_averaged"):
        what += f", weights averaged over the last {averaged} snapshots"
    return what


def baselines(train: Images, valid: Images, n: int, seeds: Sequence[int], rounds: int) -> Iterator[ImageSet]:
    """Training images, k-means centres of all of them, and validation images, n each; flat images in [0, 1].

    The training images come in as many disjoint draws as there are seeds; the first seed starts k-means.
    """
    images = train.floats()
    parts = list(images[: len(seeds) * n].split(n))
    yield ImageSet("training images", f"the first {n:,}, and further ones as further draws: memorisers", parts, True)
    centres = kmeans(images, n, rounds=rounds, seed=seeds[0]).clamp(0, 1)
    yield ImageSet("k-means centres", f"averages of the {len(images):,} training images", [centres], True)
    yield ImageSet("validation images", "real, and nothing was trained on them: the floor", [valid.first(n).floats()])


def _finite(drawn: Tensor, name: str) -> Tensor:
    if not drawn.isfinite().all():
        raise Diverged(f"{name}: its samples are not finite; it cannot be measured")
    return drawn
