"""The paper's MNIST run with the update that alternates, as Algorithm 1 prints it; else as `benchmarks.gpu.mnist`."""

from __future__ import annotations

import torch

from benchmarks.gpu import mnist
from benchmarks.gpu.record import Record


def run(record: Record, device: torch.device, small: bool) -> None:
    """As `benchmarks.gpu.mnist.run`."""
    mnist.run(record, device, small, "mnist-paper-alternating")
