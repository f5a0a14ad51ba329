"""Expected errors: one line and an exit code. The others keep their traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ganlib.device import is_memory_full
from ganlib.errors import CheckpointError, DataError, Diverged, DownloadError, ResultsError
from ganlib.lab.cli.arguments import DIVERGED, MEMORY, NO_DATA, REFUSED, UNEXPECTED, Stop


@contextmanager
def expected_errors() -> Iterator[None]:
    """Inside, errors that a user can do something about become `Stop`."""
    try:
        yield
    except CheckpointError as error:
        raise Stop(REFUSED, str(error)) from error
    except ResultsError as error:
        raise Stop(REFUSED, str(error)) from error
    except Diverged as error:
        raise Stop(DIVERGED, str(error)) from error
    except (FileNotFoundError, DataError, DownloadError) as error:
        raise Stop(NO_DATA, str(error)) from error
    except ModuleNotFoundError as error:
        if error.name:  # a failed import; ganlib's own messages, about packages that data come in, name none
            raise
        raise Stop(NO_DATA, str(error)) from error
    except MemoryError as error:
        raise Stop(MEMORY, str(error) or "out of memory") from error
    except BrokenPipeError:  # of the output: no fault, and `main` knows what to do
        raise
    except OSError as error:
        raise Stop(UNEXPECTED, str(error)) from error
    except RuntimeError as error:
        if not is_memory_full(error):
            raise
        what = str(error).partition("\n")[0]
        raise Stop(MEMORY, f"out of memory ({what}): try smaller nets, or fewer samples or seeds at once") from error


@contextmanager
def refusing(code: int) -> Iterator[None]:
    """Inside, a ValueError or TypeError is about what was asked for. Elsewhere it is a fault with a traceback."""
    try:
        yield
    except (CheckpointError, ResultsError, DataError):
        raise
    except (ValueError, TypeError) as error:
        raise Stop(code, str(error)) from error
