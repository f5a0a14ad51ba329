"""Where the widgets' package or torchmetrics are missing, as on a machine that only trains, what uses them is left out."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("anywidget") else ["widgets/*.py"]
collect_ignore_glob += [] if find_spec("torchmetrics") else ["metrics/frechet.py"]
