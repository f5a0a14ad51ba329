"""DCGAN at 64 x 64 pixels, batch 128: the engine against the same conventional loop as in benchmarks.conventional.

Same nets, batch and precision (float32, TF32 off). The conventional loop enlarges every image by PIL, the engine a
minibatch at a time on the device.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

import torch

from benchmarks import common
from benchmarks.conventional import compare, line

TARGETS = {"cpu": 1.3, "cuda": 3}


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    overrides = {"width": 8, "m": 8} if options.smoke else {}
    return compare("dcgan-64", options, device, TARGETS.get(device.type), overrides)


main = partial(common.run, "dcgan", line(__doc__ or "", seconds=8), measure)

if __name__ == "__main__":
    main(sys.argv[1:])
