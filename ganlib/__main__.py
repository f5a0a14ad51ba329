"""``python -m ganlib``: see `ganlib.lab.cli`."""

import sys

from ganlib.lab import interrupts

if __name__ == "__main__":
    interrupts.catch()  # before anything that takes time
    from ganlib.lab.cli import main

    interrupts.ended = main()
    sys.exit(interrupts.ended)
