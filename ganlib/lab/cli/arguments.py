"""Commands, options and exit codes. Imports nothing slow, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from ganlib import limits

DONE, UNEXPECTED, USAGE, DIVERGED, MEMORY, REFUSED, NO_DATA, INTERRUPTED, UNREAD = 0, 1, 2, 3, 4, 5, 6, 130, 141
FOLDER = Path("trained")
EPILOG = """\
examples:
  python -m ganlib runs                                  the named runs
  python -m ganlib runs mnist-paper                      every setting of one
  python -m ganlib train ring8 --set k=2 --seeds 4       seeds 0 to 3 at once, into trained/ring8
  python -m ganlib train ring8 --set k=2 --seeds 4 --resume
  torchrun --nproc_per_node=2 -m ganlib train mnist-paper
  python -m ganlib sample trained/ring8 -n 1000 --out ring.png
  python -m ganlib evaluate trained/ring8 --json
  python -m ganlib reproduce mnist-paper --seeds 5 --results mnist-paper.json
  python -m ganlib combine seed0.json seed1.json --results mnist-paper.json
  python -m ganlib study vae --folder book/results
  python -m ganlib sweep trained/mnist-paper --out parzen-sweep.json
  python -m ganlib data                                  the data sets: which are here, and where
  python -m ganlib data get mnist                        download one

exit codes:
  0  done
  1  unexpected: a fault of the program, or of the system (a full disk)
  2  wrong usage, or a setting that is impossible
  3  diverged: a loss, a weight or a sample is not finite
  4  out of memory
  5  a checkpoint or a results file was refused
  6  data, or the package they come in, are missing or damaged, or were not downloaded
  130  interrupted by Ctrl-C or SIGTERM; the last checkpoint is kept, and the command that resumes is printed
  141  nobody reads the output any more (| head); a training goes on and is saved all the same
Under torchrun these are the codes of the processes; torchrun itself ends with 0 or 1.

Data are looked for in the folder GANLIB_DATA, else in ~/.cache/ganlib.
"""


class Stop(Exception):
    """An expected error: what to say in one line, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"error: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    root = Parser(
        prog="python -m ganlib",
        description="Train, sample and measure generative adversarial nets by Algorithm 1, as named runs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(required=True, metavar="command", parser_class=Parser)

    def command(name: str, says: str, details: str = "") -> Parser:
        added = commands.add_parser(
            name, help=says, description=f"{says[0].upper()}{says[1:]}. {details}", allow_abbrev=False
        )
        added.set_defaults(command=name)
        return added

    runs = command("runs", "list the named runs, or every setting of one")
    runs.add_argument("name", nargs="?", help="a named run")
    _settings(runs)
    runs.add_argument("--json", action="store_true", help="as JSON")

    train = command("train", "train a named run", "Progress goes to stderr; the last checkpoint's path to stdout.")
    _training(train)
    train.add_argument("--resume", action="store_true", help="go on from the folder's newest checkpoint, if it has one")

    sample = command("sample", "draw samples from a trained generator")
    _trained(sample)
    sample.add_argument("-n", type=_count, default=64, help="how many (64)")
    sample.add_argument("--seed", type=_seed, default=0, help="of the noise (0)")
    sample.add_argument(
        "--out",
        type=Path,
        default=Path("samples.png"),
        help="FILE.png: a picture (contrast-normalised images are stretched to [0, 1] one by one); FILE.npz: the array "
        "'samples' in the run's own range (samples.png)",
    )

    evaluate = command("evaluate", "measure trained generators, each seed and across seeds")
    _trained(evaluate)
    _samples(evaluate)
    evaluate.add_argument("--json", action="store_true", help="as JSON")

    reproduce = command(
        "reproduce",
        "train a named run, measure every seed, write results as JSON with provenance",
        "Resumes if the folder holds the run with its snapshots. Each seed's generator is written beside the JSON in "
        "half precision.",
    )
    _training(reproduce)
    _samples(reproduce)
    reproduce.add_argument(
        "--no-average",
        action="store_true",
        help="leave out the average of the run's snapshots, see ganlib.lab.snapshots",
    )
    reproduce.add_argument("--results", type=Path, help="JSON file to write (FOLDER/NAME.json)")

    combine = command(
        "combine",
        "put results of one run with different seeds together",
        "For seeds trained one after another, or on several machines.",
    )
    combine.add_argument("parts", nargs="+", type=Path, help="JSON files of `reproduce`, their weights beside them")
    combine.add_argument("--results", type=Path, required=True, help="JSON file to write")

    study = command(
        "study",
        "answer one of the named studies, write its result as JSON with provenance",
        "`python -m ganlib study` without a name lists them.",
    )
    study.add_argument("name", nargs="?", help="a study")
    _settings(study)
    _device(study)
    study.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        help=f"where earlier results are, and where NAME.json is written ({FOLDER})",
    )
    study.add_argument("--quiet", action="store_true", help="no progress")

    sweep = command(
        "sweep",
        "Parzen scores of a trained generator, of training images and of k-means centres under every width, as JSON",
        "The Parzen explorer of ganlib.widgets shows them.",
    )
    _trained(sweep)
    _samples(sweep)
    sweep.add_argument("--out", type=Path, default=Path("parzen-sweep.json"), help="file to write (parzen-sweep.json)")

    data = command(
        "data",
        "list the data sets, where they are looked for and whether they are sound, or download one",
        "`data get NAME` downloads mnist, fashion-mnist or cifar10, checks what came, and leaves alone what is sound.",
    )
    data.set_defaults(resumes=True)  # files that have come are not fetched again
    data.add_argument("action", nargs="?", choices=["get"], help="download; without it, list")
    data.add_argument("dataset", nargs="?", metavar="NAME", help="the data set to get")
    data.add_argument("--root", type=Path, metavar="FOLDER", help="where data are (GANLIB_DATA, else ~/.cache/ganlib)")
    data.add_argument("--again", action="store_true", help="download what looks sound, too")
    data.add_argument("--quiet", action="store_true", help="no progress")
    return root


def _settings(to: Parser) -> None:
    to.add_argument(
        "--set", action="append", default=[], metavar="SETTING=VALUE", help="change a setting; repeat for more"
    )


def _device(to: Parser) -> None:
    to.add_argument("--device", help="cuda, cuda:1, mps, xpu or cpu; default GANLIB_DEVICE, else the accelerator found")
    to.add_argument("--threads", type=_threads, metavar="N", help="CPU threads (torch's own choice)")


def _training(to: Parser) -> None:
    to.set_defaults(resumes=True)
    to.add_argument("name", help="a named run, see `python -m ganlib runs`")
    _settings(to)
    _device(to)
    to.add_argument(
        "--precision", choices=("auto", "fp32", "tf32", "bf16"), default="auto", help="see ganlib.lab.speed.precision"
    )
    seeds = to.add_mutually_exclusive_group()
    seeds.add_argument("--seed", dest="seeds", type=lambda text: (_seed(text),), metavar="N", help="one seed (0)")
    seeds.add_argument(
        "--seeds", type=_seeds, metavar="N|A,B,C", help="seeds 0 to N-1, or those listed, trained at once"
    )
    to.add_argument("--out", type=Path, metavar="FOLDER", help="where checkpoints are kept (trained/NAME)")
    to.add_argument(
        "--save-every", type=_steps, default=0, metavar="N", help="iterations between checkpoints (1 %% of the run)"
    )
    to.add_argument("--tensorboard", type=Path, metavar="FOLDER", help="write TensorBoard logs")
    to.add_argument("--eager", action="store_true", help="no CUDA graph: slower, for debugging")
    to.add_argument("--quiet", action="store_true", help="no progress")


def _trained(to: Parser) -> None:
    to.add_argument("path", type=Path, help="a run's folder (its newest checkpoint), or a checkpoint file")
    to.add_argument("--member", type=_seed, metavar="SEED", help="one of the seeds trained at once")
    _device(to)


def _samples(to: Parser) -> None:
    to.add_argument("--samples", type=_count, default=10_000, metavar="N", help="samples a measurement uses (10000)")


def _count(text: str, most: int = limits.SIZE) -> int:
    if not _within(text, 1, most):
        raise argparse.ArgumentTypeError(f"{limits.shown(text)} is not a number from 1 to {most}")
    return int(text)


def _steps(text: str) -> int:
    return _count(text, limits.STEPS)


def _threads(text: str) -> int:
    return _count(text, limits.THREADS)


def _seed(text: str) -> int:
    if not _within(text, 0, 2**63 - 1):
        raise argparse.ArgumentTypeError(f"{limits.shown(text)} is no seed; give an integer from 0 to 2**63 - 1")
    return int(text)


def _within(text: str, least: int, most: int) -> bool:
    # Python reads no integer of more than 4,300 digits.
    return text.isdecimal() and len(text) <= 100 and least <= int(text) <= most


def _seeds(text: str) -> tuple[int, ...]:
    if "," not in text:
        return tuple(range(_count(text, limits.SEEDS)))
    seeds = tuple(_seed(each.strip()) for each in text.removesuffix(",").split(","))
    if len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{limits.shown(text)} names a seed twice")
    return seeds
