"""ganlib: the package under "Generative Adversarial Nets, executed".

Modules, each short enough to read: `theory`, `proofs`, `losses`, `nets`, `latent`, `data`, `toys`, `device`,
`algorithm1`, `schedules`, `sampling`, `dirac`, `metrics`, `figures`, `notebook`. Importing ganlib imports none of them.
"""

__version__ = "0.1.0"
