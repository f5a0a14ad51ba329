"""Mixed precision by policy: which number formats the networks are computed in; the weights stay float32.

fp32 : everything in float32. On x86 processors with AVX-512 products go to oneDNN (`ganlib.lab.speed.onednn`).
tf32 : float32, products on NVIDIA tensor cores with inputs rounded to 10 bits of mantissa.
bf16 : products and activations in bfloat16 where the hardware has it, losses and optimisers in float32.
auto : the default of a device, chosen by measurement: see `DEFAULTS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlib import limits

POLICIES = ("auto", "fp32", "tf32", "bf16")
# benchmarks/floor.py measures bf16 against fp32 on the CPU: bf16 is the faster there, by less than twice, and fp32 is
# what the paper's numbers were made with, so it is asked for and not assumed. CUDA's default awaits its measurement.
DEFAULTS = {"cpu": "fp32", "cuda": "tf32", "mps": "fp32", "xpu": "fp32"}


def choose(policy: str, device: torch.device) -> str:
    """The policy to use on a device: "fp32", "tf32" or "bf16".

    Raises
    ------
    ValueError
        If there is no such policy or the device lacks the format.
    """
    limits.one_of("precision", policy, POLICIES)
    limits.kind("device", device, torch.device, "torch.device('cpu')")
    if policy == "auto":
        policy = DEFAULTS[device.type]
        return "fp32" if policy == "tf32" and not _has_tf32(device) else policy
    if policy == "tf32" and not _has_tf32(device):
        raise ValueError(f"{device} has no tf32 (NVIDIA GPUs from Ampere on have it); use fp32 or bf16")
    if policy == "bf16" and not has_bf16(device):
        raise ValueError(f"{device} has no fast bfloat16; use fp32")
    return policy


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 products in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type == "xpu"


@contextmanager
def active(policy: str, device: torch.device) -> Iterator[None]:
    """Inside, float32 products run as the policy says; the process's own setting comes back afterwards."""
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.deterministic
    try:
        torch.set_float32_matmul_precision("high" if policy == "tf32" else "highest")
        cudnn.allow_tf32, cudnn.deterministic = policy == "tf32", True  # deterministic: a resumed run has the same bits
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32, cudnn.deterministic = before[1:]


class InBfloat16(nn.Module):
    """The net computed in bfloat16 by torch's autocast; its output is float32 again, so that losses are."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            y: Tensor = self.net(x)
        return y.float()


def _has_tf32(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
