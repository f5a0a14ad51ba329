"""The 2-D playground in headless Chromium: iterations a second while it plays, and whether its page stays responsive.

Batch 128, two hidden layers of 16 units, k = 1: an iteration is an update of D and one of G, both by Adam. A frame of
the browser trains for 12 ms at most and draws in the rest. A task of the page over 50 ms, which the browser itself
reports, is one that a reader may notice. Ratios: iterations a second over the 500 asked for, and the longest task over
50 ms. Both depend on what else the machine does: the load average is recorded. Runs on the processor, whatever the
device.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import common
from ganlib.widgets.playground import Playground

ASKED = 500  # iterations a second
LONG = 50  # ms: what the browser calls a long task
SETTINGS = {"m": 128, "hidden": 16, "k": 1, "g_steps": 1}

PLAY = """async (ms) => {
  const tasks = [];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)));
  observer.observe({ type: "longtask" });
  const count = () => Number(document.querySelector("dd[data-name=iterations]").dataset.value);
  const play = document.querySelector("button[data-name=play]");
  const [begun, start] = [count(), performance.now()];
  play.click();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const seconds = (performance.now() - start) / 1000;
  play.click();
  tasks.push(...observer.takeRecords().map((each) => each.duration));
  return { seconds, iterations: count() - begun, tasks };
}"""


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(common.ROOT))
    pages, widget_page = (importlib.import_module(f"tests.browser.{name}") for name in ("pages", "widget_page"))
    milliseconds = 300 if options.smoke else 1000 * options.seconds
    rounds = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = pages.find_chromium(playwright)
        if path is None:
            raise SystemExit("there is no Chromium: run make browser, or set GANLIB_CHROMIUM to the path of one")
        with playwright.chromium.launch(executable_path=path, args=list(pages.ARGUMENTS)) as browser:
            version = browser.version
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(widget_page.write_page(Path(folder), Playground(**SETTINGS)).as_uri())
            page.wait_for_selector("[data-ganlib-widgets]", state="attached")
            page.evaluate(PLAY, min(milliseconds, 1000))  # the engine compiles what it sees often
            for _ in range(options.rounds):
                rounds.append(page.evaluate(PLAY, milliseconds))
    speeds = [each["iterations"] / each["seconds"] for each in rounds]
    longest = [max(each["tasks"], default=0) for each in rounds]
    return {
        "settings": SETTINGS,
        "chromium": version,
        "load_average": [load, os.getloadavg()[0]],
        "ratios": {
            f"iterations a second / {ASKED}": common.ratio(speeds, [ASKED] * len(speeds), target=1),
            f"longest task / {LONG} ms": common.ratio(longest, [LONG] * len(longest), limit=1),
        },
        "rounds": [
            {"iterations_a_second": speed, "long_tasks_ms": each["tasks"]}
            for speed, each in zip(speeds, rounds, strict=True)
        ],
        "notes": [
            f"{sum(speeds) / len(speeds):.0f} iterations a second on average; load average {load:.1f} at the start"
        ],
    }


main = partial(common.run, "playground", common.parser(__doc__ or "", seconds=4), measure)

if __name__ == "__main__":
    main(sys.argv[1:])
