"""Where the widgets' package or torchmetrics is missing, as on a machine that only trains, their users are left out."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("anywidget") else ["widgets/*.py"]
collect_ignore_glob += [] if find_spec("torchmetrics") else ["metrics/frechet.py"]

if find_spec("hypothesis"):
    from hypothesis import settings

    settings.register_profile("ganlib", deadline=None)  # a first call in torch takes seconds on a busy machine
    settings.load_profile("ganlib")
