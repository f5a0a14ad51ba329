"""``python -m ganlib``: see `ganlib.cli`."""

import sys

from ganlib import interrupts

if __name__ == "__main__":
    interrupts.catch()  # before anything that takes time
    from ganlib.cli import main

    interrupts.ended = main()
    sys.exit(interrupts.ended)
