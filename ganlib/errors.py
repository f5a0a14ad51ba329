"""What can go wrong, by name. Each message says which value or file it is, and what to do.

Beside these ganlib raises Python's own: TypeError and ValueError for what a call was given, FileNotFoundError for data
and results that are not there, FloatingPointError where `ganlib.algorithm1` diverges.
"""


class Diverged(FloatingPointError):
    """A loss, a weight or a sample is no longer finite."""


class OutOfMemory(MemoryError):
    """The device's memory does not hold the run."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop and did, after its last iteration was saved."""


class DataError(ValueError):
    """A data file that is there and cannot be used."""


class DownloadError(OSError):
    """A file that could not be downloaded."""


class CheckpointError(ValueError):
    """A checkpoint, or a file of weights, that cannot be used."""


class ResultsError(ValueError):
    """A results file that cannot be used, or must not be overwritten."""


class FeaturesError(ValueError):
    """The digit classifier cannot be used."""


class ProofError(Exception):
    """A proof that does not hold: names the step and the reason."""
