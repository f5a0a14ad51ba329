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
    "causes": "the published MNIST run with one possible cause of its score changed at a time",
    "cooling": "what falling rates add at the end of the published MNIST run with alternating updates",
    "cooling-simultaneous": "the same at the end of the published run itself",
    "draws": "the Parzen score of the same generators in several draws",
    "likelihood": "log-likelihoods of generators with noise on their images, by annealed importance sampling",
    "eyes": "generators, memorised images and averages seen by other measures than Parzen windows",
    "copying": "whether samples of trained generators are nearer to training images than new images are",
    "memorisation": "the paper's pair trained on 50, 500 and 5,000 images",
    "figure2": "random samples of trained generators and the training examples nearest to them",
    "row-dbn": "Table 1's deep belief network, trained on the same digits and looked at by every measure",
    "row-cae": "the same of its stacked contractive autoencoder",
    "row-dae": "the same of a denoising autoencoder trained with walkback",
    "row-gsn": "the same of its deep generative stochastic network",
    "samples": "the first samples of trained generators, as pictures",
    "chains": "samples of a Gibbs chain against independent ones",
    "folds": "the paper's two stages for faces, on digits instead, and what +- across folds counts",
}


# Studies with another one's module, and what they set.
ALIKE: dict[str, tuple[str, dict[str, Any]]] = {
    "cooling-simultaneous": ("cooling", {"trained": "mnist-paper-seed0"}),
    "row-dbn": (
        "rows",
        {"row": "dbn", "hidden": "1000,1000", "epochs": "60,60", "lr": 0.05, "lr_decay": 1.0, "momentum": 0.0},
    ),
    "row-cae": (
        "rows",
        {"row": "cae", "hidden": "1000,1000", "epochs": "40,40", "m": 20, "lr": 0.1, "lr_decay": 1.0, "momentum": 0.0}
        | {"contraction": 0.1, "noises": "0.03,0.1,0.3,1"},
    ),
    "row-dae": (
        "rows",
        {"row": "dae", "hidden": "2000", "lr": 10.0, "lr_decay": 1.0, "momentum": 0.0, "walkbacks": 5},
    ),
    "row-gsn": ("rows", {}),
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
    return importlib.import_module(f"ganlib.lab.studies.{ALIKE.get(name, (name,))[0]}")


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
    named = _named(name)
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
    named, this = asdict(_named(name)), asdict(found)
    return {setting: (named[setting], this[setting]) for setting in this if this[setting] != named[setting]}


def _named(name: str) -> Any:
    return module(name).Settings(**ALIKE.get(name, ("", {}))[1])
