"""ganlib: the package under "Generative Adversarial Nets, executed". Two wings; importing ganlib imports neither.

The lecture, to read beside the paper:
    the mathematics: `theory`, `proofs`, `dirac`;
    Algorithm 1: `losses`, `algorithm1`, `sampling`, `nets`, and whom it refuses and remarks on: `nets`, `metrics`;
    data: `toys`, `data`, `data.images`, `data.official`, `data.downloads`, `data.files`, `data.fetched`;
    measuring and showing: `metrics`, `figures`, `widgets`, `notebook`;
    under all of it: `device`, `limits`, `tensors`, `errors`.

The lab, `lab`, for full-length runs; the lecture imports nothing of it:
    what is run: `lab.settings`, `lab.runs`, `lab.build`, `lab.optimisers`, `lab.models`;
    running: `lab.randomness`, `lab.training`, `lab.state`, `lab.runner`, `lab.lock`, `lab.interrupts`;
    faster: `lab.speed`, `lab.speed.game`, `lab.speed.graphs`, `lab.speed.precision`, `lab.speed.distributed`,
    `lab.speed.onednn`, `lab.speed.ensembles`;
    what a run leaves: `lab.checkpoint`, `lab.history`, `lab.generators`, `lab.snapshots`;
    what comes of it: `lab.measure`, `lab.parzen_sweep`, `lab.combine`, `lab.results`, `lab.committed`, `lab.studies`,
    `lab.cli`.

The tests of both are in `tests`: ``pytest --pyargs ganlib``.
"""

__version__ = "0.1.0"
