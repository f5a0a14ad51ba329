"""The device that is picked, what is said of it, and impossible choices. Accelerators are simulated."""

import platform
import subprocess
import sys

import pytest
import torch

from ganlib import device


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(device, "_reported", set())
    monkeypatch.delenv("GANLIB_DEVICE", raising=False)


def simulate(monkeypatch, kind):
    found = torch.device(kind) if kind else None
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: found)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: bool(kind))


@pytest.mark.parametrize(("kind", "expected"), [("cuda", "cuda:0"), ("xpu", "xpu:0"), ("mps", "mps"), (None, "cpu")])
def test_the_accelerator_torch_finds_is_picked(monkeypatch, kind, expected):
    simulate(monkeypatch, kind)
    assert str(device.pick_device(report=False)) == expected


def test_an_accelerator_ganlib_does_not_know_is_left_alone(monkeypatch):
    simulate(monkeypatch, "hpu")
    assert str(device.pick_device(report=False)) == "cpu"


def test_an_explicit_choice_wins_over_the_environment_and_that_over_the_search(monkeypatch):
    simulate(monkeypatch, "cuda")
    monkeypatch.setenv("GANLIB_DEVICE", "cpu")
    assert str(device.pick_device(report=False)) == "cpu"
    monkeypatch.setenv("GANLIB_DEVICE", "tpu")
    assert str(device.pick_device("cpu", report=False)) == "cpu"


def test_the_device_is_reported_once(capsys):
    device.pick_device("cpu")
    device.pick_device("cpu")
    assert capsys.readouterr().out.count("ganlib runs on the CPU") == 1


@pytest.mark.parametrize(
    ("choice", "says"),
    [("gpu", "'gpu' is not a device"), ("cuda:7", "'cuda:7' was asked for.*cpu"), ("meta", "does not run on 'meta'")],
)
def test_an_impossible_choice_is_a_clear_error(monkeypatch, choice, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=says):
        device.pick_device(choice)


@pytest.mark.cuda
def test_cuda_is_found_and_described():
    found = device.pick_device(report=False)
    assert found.type == "cuda"
    assert torch.cuda.get_device_name(found) in device.describe(found)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_kept_memory_is_not_cleared_again_by_the_system():
    """Counted in page faults: 30 tensors of 40 MB, one after the other, each written once."""
    count = """
import resource, sys, torch
from ganlib.device import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(10):  # until the heap has a block of that size
    torch.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        how: int(subprocess.run([sys.executable, "-c", count, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "returned")
    }
    assert faults["kept"] < faults["returned"] / 10


def test_torch_that_raises_without_an_accelerator_is_not_asked_for_one(monkeypatch):
    """As torch 2.6 does on a machine without."""

    def none():
        raise RuntimeError("Cannot access accelerator device when none is available.")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", none)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert str(device.pick_device(report=False)) == "cpu"


@pytest.mark.parametrize("blank", ["", "  ", "\t\n"])
def test_a_blank_variable_is_none(monkeypatch, blank):
    simulate(monkeypatch, "mps")
    monkeypatch.setenv("GANLIB_DEVICE", blank)
    assert device.asked_for() is None
    assert str(device.pick_device(report=False)) == "mps"


@pytest.mark.parametrize("choice", ["cuda:300", "cpu:99999999999999999999", "xpu:256"])
def test_a_number_that_torch_would_cut_is_no_device(choice):
    with pytest.raises(ValueError, match=f"{choice!r} is not a device"):
        device.pick_device(choice, report=False)


@pytest.mark.parametrize(("fp64", "kept"), [(True, "meta"), (False, "cpu")])
def test_an_intel_gpu_says_itself_whether_it_has_float64(monkeypatch, fp64, kept):
    class Tensor:
        device = torch.device("xpu", 0)

        def double(self):
            return "meta"

        def cpu(self):
            return type("OnCPU", (), {"double": lambda _: "cpu"})()

    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda _: type("Card", (), {"has_fp64": fp64}))
    assert device.double(Tensor()) == kept
