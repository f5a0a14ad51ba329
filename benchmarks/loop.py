"""The conventional training loop, written the way most repositories write it, and its networks in plain torch.nn.

Images are decoded one by one by PIL transforms in a DataLoader; labels are tensors of ones and zeros made for every
batch; the loss is BCELoss on a sigmoid; G steps first and D then, on the same noise; both losses are read by .item()
after every batch; optimisers have torch's defaults; no schedules. Nothing here is slowed down on purpose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ganlib import data
from ganlib.lab import runs
from ganlib.lab.runs import Run
from ganlib.nets import count_parameters


class PILImages(Dataset[tuple[Tensor, int]]):
    """Images handed out one at a time as torchvision's data sets do: through PIL, then the transforms."""

    def __init__(self, images: data.Images, transform: transforms.Compose) -> None:
        self.pixels = images.pixels.permute(0, 2, 3, 1).squeeze(-1).numpy()
        self.labels, self.transform = images.labels, transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


class MaxPieces(nn.Module):
    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), -1, self.pieces).max(2)[0]


def paper_pair() -> tuple[nn.Module, nn.Module]:
    """The paper's MNIST pair: G 100-1200-1200-784, D maxout 240x5, 240x5."""
    generator = nn.Sequential(
        nn.Linear(100, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 784), nn.Sigmoid()
    )
    layers = [nn.Flatten(), nn.Dropout(0.2), nn.Linear(784, 1200), MaxPieces(5)]
    layers += [nn.Dropout(0.5), nn.Linear(240, 1200), MaxPieces(5), nn.Dropout(0.5), nn.Linear(240, 1), nn.Sigmoid()]
    return generator, nn.Sequential(*layers)


def small_pair() -> tuple[nn.Module, nn.Module]:
    """The small pair of teaching code: G 100-128-256-512-1024-784 with batch norm, D 784-512-256-1."""
    layers = [nn.Linear(100, 128), nn.LeakyReLU(0.2, inplace=True)]
    for inputs, outputs in ((128, 256), (256, 512), (512, 1024)):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(0.2, inplace=True)]
    generator = nn.Sequential(*layers, nn.Linear(1024, 784), nn.Tanh())
    layers = [nn.Flatten(), nn.Linear(784, 512), nn.LeakyReLU(0.2, inplace=True)]
    layers += [nn.Linear(512, 256), nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 1), nn.Sigmoid()]
    return generator, nn.Sequential(*layers)


def dcgan_pair(width: int = 64) -> tuple[nn.Module, nn.Module]:
    """DCGAN for 64 x 64 colour images."""
    widths = [8 * width, 4 * width, 2 * width, width]
    layers: list[nn.Module] = [nn.Unflatten(1, (100, 1, 1)), nn.ConvTranspose2d(100, widths[0], 4, 1, 0, bias=False)]
    for inputs, outputs in zip(widths, [*widths[1:], 3], strict=True):
        layers += [nn.BatchNorm2d(inputs), nn.ReLU(True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
    generator = nn.Sequential(*layers, nn.Tanh())
    layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for inputs, outputs in zip(widths[:0:-1], widths[-2::-1], strict=True):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs)]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    layers += [nn.Conv2d(widths[0], 1, 4, 1, 0, bias=False), nn.Flatten(0), nn.Sigmoid(), nn.Unflatten(0, (-1, 1))]
    return generator, nn.Sequential(*layers)


PAIRS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
    "mnist-paper": paper_pair,
    "small-mlp": small_pair,
    "dcgan-64": dcgan_pair,
}


class Loop:
    """The conventional loop for a named run; call it with a number of batches.

    Parameters
    ----------
    run : "mnist-paper", "small-mlp" or "dcgan-64", with overrides.
    workers : the DataLoader's processes; 0 decodes in this one.
    """

    def __init__(self, run: Run, device: torch.device, workers: int = 0) -> None:
        self.run, self.device = run, device
        pair = dcgan_pair(run.width) if run.name == "dcgan-64" else PAIRS[run.name]()
        self.generator, self.discriminator = (net.to(device) for net in pair)
        self.loader = DataLoader(_images(run), batch_size=run.m, shuffle=True, num_workers=workers)
        self.adversarial_loss = nn.BCELoss()
        self.optimizer_G, self.optimizer_D = self._optimizer(self.generator), self._optimizer(self.discriminator)
        self.batches = self._batches()

    def __call__(self, batches: int) -> None:
        for _ in range(batches):
            self._batch(next(self.batches))

    def _batch(self, imgs: Tensor) -> None:
        valid = torch.ones(imgs.size(0), 1, device=self.device)
        fake = torch.zeros(imgs.size(0), 1, device=self.device)
        real_imgs = imgs.to(self.device)

        self.optimizer_G.zero_grad()
        z = torch.randn(imgs.size(0), 100, device=self.device)
        gen_imgs = self.generator(z)
        g_loss = self.adversarial_loss(self.discriminator(gen_imgs), valid)
        g_loss.backward()
        self.optimizer_G.step()

        self.optimizer_D.zero_grad()
        real_loss = self.adversarial_loss(self.discriminator(real_imgs), valid)
        fake_loss = self.adversarial_loss(self.discriminator(gen_imgs.detach()), fake)
        d_loss = (real_loss + fake_loss) / 2
        d_loss.backward()
        self.optimizer_D.step()

        self.losses = d_loss.item(), g_loss.item()

    def _batches(self) -> Iterator[Tensor]:
        while True:
            for imgs, _ in self.loader:
                yield imgs

    def _optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        run = self.run
        if run.optimiser == "sgd":
            return torch.optim.SGD(net.parameters(), lr=run.d_lr, momentum=run.momentum)
        return torch.optim.Adam(net.parameters(), lr=run.d_lr, betas=(run.beta1, run.beta2))


def same_nets(run: Run, loop: Loop) -> dict[str, int]:
    """Parameter counts of both sides' networks, which must agree.

    Raises
    ------
    AssertionError
        If they do not: then the two loops do not do the same work.
    """
    engine = runs.networks(run, 0, runs.load_data(run, torch.device("cpu")))
    ours = [count_parameters(net) for net in engine]
    theirs = [count_parameters(net) for net in (loop.generator, loop.discriminator)]
    if ours != theirs:
        raise AssertionError(f"{run.name}: the engine's nets have {ours} parameters, the conventional loop's {theirs}")
    return dict(zip(("generator", "discriminator"), ours, strict=True))


@contextmanager
def available(name: str, overrides: dict[str, Any]) -> Iterator[tuple[Run, str]]:
    """The named run on its own data, or where those are not here on the embedded digits; and a word on which.

    Speed hardly depends on what the images show. CIFAR-10's stand-in is written in its own layout to a temporary folder
    that GANLIB_DATA names meanwhile, so that both sides read it as they would read CIFAR-10.
    """
    run = runs.get(name, overrides)
    try:
        source = repr(runs.load_data(run, torch.device("cpu")))
    except FileNotFoundError:
        pass
    else:
        yield run, source
        return
    digits = data.load("digits")
    if run.data == "mnist":
        yield runs.get(name, {**overrides, "data": "digits"}), f"MNIST is not here; instead {digits}"
        return
    with TemporaryDirectory() as folder:
        pixels = np.pad(digits.pixels[:, 0].numpy(), ((0, 0), (2, 2), (2, 2)))[..., None].repeat(3, -1)
        rows = np.arange(50_000) % len(digits)  # as many as CIFAR-10 has
        np.savez(Path(folder) / "cifar10.npz", train_images=pixels[rows], train_labels=digits.labels.numpy()[rows])
        before = os.environ.get("GANLIB_DATA")
        os.environ["GANLIB_DATA"] = folder
        try:
            yield (
                run,
                f"{run.data} is not here; instead, padded to 32 x 32, in three equal channels and repeated, {digits}",
            )
        finally:
            del os.environ["GANLIB_DATA"]
            if before is not None:
                os.environ["GANLIB_DATA"] = before


def _images(run: Run) -> Dataset[Any]:
    """The run's training images through per-image transforms."""
    steps: list[Any] = [transforms.Resize(64)] if run.name == "dcgan-64" else []
    steps.append(transforms.ToTensor())
    if run.preprocessing == "tanh":
        steps.append(transforms.Normalize([0.5], [0.5]))
    transform = transforms.Compose(steps)
    return PILImages(data.load(run.data), transform)
