"""No page weighs more than promised, its widgets and what they load on demand apart."""

from __future__ import annotations

import importlib.util
import sys

from . import pages


def test_no_page_is_over_its_weight(html, capsys):
    spec = importlib.util.spec_from_file_location("weigh_built_pages", pages.ROOT / "tools" / "weigh.py")
    weigh = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = weigh  # its dataclasses look their module up
    spec.loader.exec_module(weigh)
    # Untimed: what the tags and the widgets' states name. `make weigh` also asks the browser.
    assert weigh.main(["--site", str(html), "--loads", "0"]) == 0, capsys.readouterr().out
