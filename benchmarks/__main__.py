"""Run the benchmarks one after the other, each in a process of its own, and print one table of every ratio."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks import common

NAMES = ("parzen", "conventional", "floor", "seeds", "dcgan", "playground")


def main(arguments: list[str]) -> int:
    """Exit code 0 if every benchmark ran, else 1: the others are run all the same."""
    line = common.parser(__doc__ or "", rounds=None, seconds=None)
    line.add_argument("names", nargs="*", help=f"which to run (default: all): {', '.join(NAMES)}")
    options = line.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES]:
        line.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if options.smoke and options.output is None:
        line.error("--smoke measures nothing: give it an --output of its own")
    passed = [
        text
        for option in ("device", "rounds", "seconds", "output")
        if (value := getattr(options, option)) is not None
        for text in (f"--{option}", str(value))
    ]
    passed += ["--smoke"] * options.smoke
    names = [name for name in NAMES if name in (options.names or NAMES)]
    failed = [
        name
        for name in names
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *passed], cwd=common.ROOT).returncode
    ]
    folder = options.output or common.RESULTS
    done = {name: json.loads((folder / f"{name}.json").read_text()) for name in names if name not in failed}
    if done:
        print("\n" + common.table(done))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
