"""What the tests need to know of the machine: which packages it has, and whether a CUDA device."""

from importlib.util import find_spec

import pytest
import torch

from ganlib import device

# Where the widgets' package or torchmetrics is missing, as on a machine that only trains, their users are left out.
collect_ignore_glob = [] if find_spec("anywidget") else ["widgets/*.py"]
collect_ignore_glob += [] if find_spec("torchmetrics") else ["metrics/frechet.py"]

if find_spec("hypothesis"):
    from hypothesis import settings

    settings.register_profile("ganlib", deadline=None)  # a first call in torch takes seconds on a busy machine
    settings.load_profile("ganlib")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cuda: needs a CUDA device; skipped elsewhere")
    config.addinivalue_line(
        "markers", "accelerator: compares the device found with the CPU; `make gpu` runs it on a GPU"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _said(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An example's output is its own, whatever ran before it: which device was picked is said once a process."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.setattr(device, "_reported", {"cpu"})
