"""ganlib: the package under "Generative Adversarial Nets, executed".

Modules, each short enough to read. The mathematics: `theory`, `proofs`, `dirac`. Algorithm 1: `losses`, `algorithm1`,
`players`, `watch`, `schedules`, `sampling`, `nets`, `latent`. Data: `data`, `images`, `toys`. Named runs: `settings`,
`runs`, `experiment`, `training`, `state`, `runner`, `checkpoint`, `history`, `weights`, `evaluation`, `provenance`,
`cli`, `interrupts`. Under a run: `randomness`, `ensemble`, `optimisers`, `precision`, `graphs`, `distributed`,
`device`. Measuring and drawing: `metrics`, `figures`, `notebook`. What calls may be given: `limits`, `arrays`,
`tensors`. Importing ganlib imports none of them.
"""

__version__ = "0.1.0"
