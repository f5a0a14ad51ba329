"""Studies: questions about the experiments that take more than one trained pair to answer, as named as the runs are.

A study is a module with `Settings` (flat, typed, checked; the defaults are the named study's) and a function `study`.
``python -m ganlib study NAME`` answers it and writes the result with its provenance.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from types import ModuleType
from typing import Any

from ganlib.lab.settings import read

STUDIES = {
    "classifier": "the digit classifier whose features other measures use",
    "vae": "a variational autoencoder with the paper's generator as its decoder",
    "changes": "the published MNIST settings and changes to them, in a narrower pair",
    "draws": "the Parzen score of the same generators in several draws",
    "likelihood": "log-likelihoods of generators with noise on their images, by annealed importance sampling",
    "eyes": "generators, memorised images and averages seen by other measures than Parzen windows",
    "copying": "whether samples of trained generators are nearer to training images than new images are",
    "memorisation": "the paper's pair trained on 50, 500 and 5,000 images",
    "figure2": "random samples of trained generators and the training examples nearest to them",
    "samples": "the first samples of trained generators, as pictures",
    "chains": "samples of a Gibbs chain against independent ones",
}


def module(name: str) -> ModuleType:
    """The module of a study.

    Raises
    ------
    ValueError
        If there is no such study.
    """
    if name not in STUDIES:
        raise ValueError(f"no study {name!r}; there are {', '.join(STUDIES)}")
    return importlib.import_module(f"ganlib.lab.studies.{name}")


def settings(name: str, overrides: Mapping[str, Any] | None = None) -> Any:
    """A study's settings, some of them changed; strings, from a command line, are read as the setting's type.

    Raises
    ------
    ValueError
        If there is no such study or setting, a string is not of its type, or a value is impossible.

    Examples
    --------
    >>> settings("vae", {"seed": "3"}).seed
    3
    """
    named = module(name).Settings()
    types = {field.name: str(field.type) for field in fields(named)}
    values = dict(overrides or {})
    for setting, value in values.items():
        if setting not in types:
            raise ValueError(f"the study {name} has no setting {setting!r}; there are {', '.join(types)}")
        if isinstance(value, str):
            values[setting] = read(setting, value, types[setting])
    return replace(named, **values)


def changed(name: str, found: Any) -> dict[str, tuple[Any, Any]]:
    """The settings that differ from the named study's: (the named study's value, this one's)."""
    named, this = asdict(module(name).Settings()), asdict(found)
    return {setting: (named[setting], this[setting]) for setting in this if this[setting] != named[setting]}
