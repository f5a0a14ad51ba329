"""Saved weights put into a net, after every check: a file may say of itself what it likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlib.checkpoint import CheckpointError


def filled(
    build: Callable[[], nn.Module], saved: Mapping[str, Tensor], path: Path, whose: str, device: str = "meta"
) -> nn.Module:
    """A net on the CPU with saved weights, which may be in half precision; none is made before they are known to fit.

    Parameters
    ----------
    build : makes the net; what it draws at random is replaced.
    saved : its tensors by name.
    path, whose : the file and the net, for messages.
    device : where the net is made before that; "cpu" where its size is known to be the file's.

    Raises
    ------
    CheckpointError
        If the weights are those of another net, or not finite.
    """
    try:
        with torch.device(device):  # shapes alone: a file may speak of more than any memory holds
            net = build()
    except (ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path}: no net is as its settings say ({error})") from error
    check(net, saved, path, whose)
    net = net.to_empty(device="cpu")
    net.load_state_dict(saved)  # copies, so half precision becomes the net's float32
    return net


def check(net: nn.Module, saved: Mapping[str, Tensor], path: Path, whose: str) -> None:
    """Refuse weights of another net, or that are not finite (CheckpointError); arguments as `filled`."""
    wanted = {name: (tensor.shape, tensor.is_floating_point()) for name, tensor in net.state_dict().items()}
    found = {name: (tensor.shape, tensor.is_floating_point()) for name, tensor in saved.items()}
    if found != wanted:
        differing = ", ".join(sorted(dict(found.items() ^ wanted.items()))[:5])
        raise CheckpointError(f"{path}: its weights are not those of {whose}; these tensors differ: {differing}")
    if wild := sorted(name for name, tensor in saved.items() if not tensor.isfinite().all()):
        raise CheckpointError(f"{path}: its weights are not finite in {', '.join(wild[:5])}")
