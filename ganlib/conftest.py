"""Where the widgets' package is missing, as on a machine that only trains, their modules are not collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("anywidget") else ["widgets/*.py"]
