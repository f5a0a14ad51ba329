"""Every public function of the mathematical half, each argument replaced: the right answer, or a refusal.

A refusal is a ValueError or a TypeError that ganlib itself raises, and names the argument or its value. What stands for
the same numbers in another form gives the same answer. `CALLS` has a valid call for each function; a new one without an
entry here, or a new parameter, fails.
"""

import inspect
from functools import cache

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from ganlib import algorithm1, data, dirac, figures, losses, nets, sampling, theory, toys, widgets
from ganlib.data import images
from ganlib.lab import optimisers, parzen_sweep, randomness, runs
from ganlib.lab.models import contractive, dbn, rbm, vae
from ganlib.lab.models.gsn import GSN
from ganlib.lab.models.learning import Descent
from ganlib.lab.speed import ensembles, precision
from ganlib.metrics import (
    ais,
    autocorrelation,
    birthday,
    classifier,
    coverage,
    features,
    frechet,
    kid,
    kmeans,
    modes,
    neighbours,
    parzen,
    two_sample,
    watch,
)
from ganlib.nets import cifar, layers, paper, players, small
from ganlib.tests import fuzz
from ganlib.tests.fuzz import Call

pytest.importorskip("anywidget")
pytest.importorskip("torchmetrics")

CPU = torch.device("cpu")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def quarters(*shape, seed=0, most=8):
    """Numbers that every format holds exactly."""
    return torch.randint(0, most, shape, generator=rng(seed)).float() / 4


def coins(*shape, seed=0):
    return torch.randint(0, 2, shape, generator=rng(seed)).float()


def net(sizes=(2, 4, 1), **settings):
    torch.default_generator.manual_seed(0)  # torch.manual_seed notes the stack, for devices not there
    return nets.MLP(sizes, **settings)


def made(kind, *args, **settings):
    torch.default_generator.manual_seed(0)
    return kind(*args, **settings).eval()


def seeded(kind):
    """The class, with the weights that seed 0 gives."""

    def make(*args, **settings):
        torch.default_generator.manual_seed(0)
        return kind(*args, **settings)

    return make


def players_and_optimisers(optimiser=torch.optim.SGD):
    g, d = net((2, 4, 2), squeeze=False), net()
    return {
        "generator": g,
        "discriminator": d,
        "data": toys.ring(),
        "latent": sampling.Latent(2),
        "d_optimiser": optimiser(d.parameters(), lr=0.01),
        "g_optimiser": optimiser(g.parameters(), lr=0.01),
    }


def some_images(**settings):
    pixels = torch.randint(0, 256, (6, 1, 3, 3), dtype=torch.uint8, generator=rng())
    return images.Images("mine", "train", "made up", pixels, torch.arange(6), **settings)


def entered(make, *args):
    """What a context manager hands out, entered and left."""
    with make(*args) as found:
        return found


def method(one, name, arguments, **options):
    """A call of a bound method."""
    return Call(getattr(one, name), arguments, **options)


def drawn(source, **options):
    return method(source, "minibatch", {"m": 3, "rng": rng()}, **options)


def layer(one, name, x, **options):
    """A net's forward pass: values go through it, and so do graphs."""
    return Call(one.forward, {name: x}, through=True, **options)


def square(z):
    """A decoder, and a log-likelihood by its side."""
    return z.square()


def bell(z):
    return -z.square().sum(2)


def annealing():
    given = {"log_likelihood": bell, "z": quarters(2, 3, 2), "betas": [0.0, 0.25, 0.5, 1.0]}
    return given | {"step_sizes": torch.full((4, 2), 0.25), "leapfrog": 2, "rng": rng()}


def closing(of):
    def run(*args, **settings):
        of(*args, **settings)
        plt.close("all")
        axis().clear()

    return run


@cache
def axis():
    return Figure().add_subplot()


def widget(kind):
    """A widget's constructor, its settings as parameters."""
    settings = {
        name: trait.default(kind) if callable(getattr(trait, "default", None)) else trait.default_value
        for name, trait in kind.class_own_traits(sync=True).items()
        if not trait.read_only
    }

    def of(**_):
        pass

    of.__signature__ = inspect.Signature([inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in settings])
    return Call(of, settings, run=kind)


def optimisers_schedule(run, both):
    return optimisers.schedule(run, *both)


def explorer():
    call = widget(widgets.ParzenExplorer)
    call.arguments |= {"sigma": 0.1}
    return call


GRID = np.linspace(-8, 8, 161)
BUMP = (np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum() / 0.1).tolist()
HALVES, QUARTERS = [0.5, 0.5], [0.25, 0.75]
REPORTS = [algorithm1.Report(1, 1.0, 1.0, 0.5, 0.5), algorithm1.Report(2, 1.0, 1.0, 0.5, 0.5)]
TITLE = {"title": "any object has a text"}
NAME = {"name": "any object has a text"}
RUN = runs.get("ring8", {"width": 4})

CALLS = {
    # The theory.
    "theory.normalise": lambda: Call(theory.normalise, {"p": [1.0, 3.0], "cell": 0.5}),
    "theory.kl": lambda: Call(theory.kl, {"p": HALVES, "q": QUARTERS, "cell": 1.0}, maybe=True),
    "theory.jsd": lambda: Call(theory.jsd, {"p": HALVES, "q": QUARTERS, "cell": 1.0}),
    "theory.optimal_discriminator": lambda: Call(
        theory.optimal_discriminator, {"p_data": [1.0, 3.0], "p_g": [1.0, 1.0], "off_support": 0.5},
        free={"off_support": "nan is its default"},
    ),
    "theory.value": lambda: Call(
        theory.value, {"d": QUARTERS, "p_data": HALVES, "p_g": HALVES, "cell": 1.0}, maybe=True
    ),
    "theory.cost": lambda: Call(theory.cost, {"p_data": HALVES, "p_g": QUARTERS, "cell": 1.0}),
    "theory.generator_gradient": lambda: Call(
        theory.generator_gradient, {"p_data": BUMP, "p_g": BUMP, "x": GRID.tolist(), "loss": "minimax"}
    ),
    "dirac.slope": lambda: Call(dirac.slope, {"t": 0.5}),
    "dirac.trajectory": lambda: Call(
        dirac.trajectory, {"steps": 5, "lr": 0.5, "gamma": 0.5, "alternating": False, "start": (1.0, 1.0)}
    ),
    # Algorithm 1.
    "losses.discriminator_loss": lambda: Call(
        losses.discriminator_loss,
        {"real_logits": quarters(4), "fake_logits": quarters(4, seed=1), "reduction": "sum"}, through=True,
    ),
    "losses.minimax": lambda: Call(losses.minimax, {"fake_logits": quarters(4)}, through=True),
    "losses.non_saturating": lambda: Call(losses.non_saturating, {"fake_logits": quarters(4)}, through=True),
    "losses.generator_loss": lambda: Call(losses.generator_loss, {"name": "minimax"}),
    "algorithm1.Game": lambda: Call(
        algorithm1.Game, players_and_optimisers() | {"k": 1, "m": 8, "loss": "minimax", "reduction": "sum"}
    ),
    "algorithm1.algorithm1": lambda: Call(
        algorithm1.algorithm1,
        players_and_optimisers() | {"iterations": 2, "k": 1, "m": 8, "loss": "minimax", "reduction": "sum",
                                    "schedule": None, "every": 2, "seed": 0, "progress": False},
        run=lambda *a, **s: next(algorithm1.algorithm1(*a, **s)), free={"schedule": "called, with nothing asked of it"},
    ),
    "nets.players.check_optimiser": lambda: Call(
        players.check_optimiser,
        {"name": "d_optimiser", "optimiser": (both := players_and_optimisers())["d_optimiser"],
         "net": both["discriminator"], "other": both["generator"]}, free=NAME,
    ),
    "nets.paper.paper_schedule": lambda: Call(
        nets.paper.paper_schedule,
        {"optimisers": (players_and_optimisers()["d_optimiser"],), "lr": 0.5, "decay": 1.5, "floor": 0.25,
         "momentum": (0.5, 0.75), "ramp_epochs": 2, "iterations_per_epoch": 2},
        run=lambda *a, **s: nets.paper.paper_schedule(*a, **s)(10**6), free={"optimisers": "a tuple of them"},
    ),
    "lab.optimisers.build": lambda: Call(
        optimisers.build, {"run": RUN, "net": net(), "lr": 0.5, "captured": False}
    ),
    "lab.optimisers.schedule": lambda: Call(
        optimisers.schedule, {"run": RUN, "optimisers": tuple(torch.optim.SGD(net().parameters()) for _ in "dg")},
        run=lambda *optimisers, run: optimisers_schedule(run, optimisers), free={"optimisers": "a tuple of them"},
    ),
    "lab.optimisers.limit_norms": lambda: Call(optimisers.limit_norms, {"weights": [torch.ones(2, 3)], "limit": 1.0}),
    "lab.randomness.Randomness": lambda: Call(
        randomness.Randomness, {"seeds": [0, 1], "device": CPU, "rank": 0, "world": 1}
    ),
    "lab.randomness.Randomness.load": lambda: (
        (run := randomness.Randomness([0], CPU)) and method(run, "load", {"state": run.state()})
    ),
    "lab.speed.ensembles.Ensemble": lambda: Call(ensembles.Ensemble, {"nets": [net(), net()], "dtype": None}),
    "lab.speed.ensembles.Ensemble.forward": lambda: layer(ensembles.Ensemble([net(), net()]), "x", quarters(2, 3, 2)),
    "lab.speed.ensembles.Ensemble.member": lambda: method(ensembles.Ensemble([net(), net()]), "member", {"index": 1}),
    "lab.speed.ensembles.ManySeeds": lambda: Call(ensembles.ManySeeds, {"source": toys.ring()}),
    "lab.speed.ensembles.ManySeeds.minibatch": lambda: method(
        ensembles.ManySeeds(toys.ring()), "minibatch", {"m": 3, "rngs": [rng(), rng(1)]}
    ),
    "metrics.watch.Watch": lambda: Call(
        watch.Watch, {"game": algorithm1.Game(**players_and_optimisers()), "iterations": 3, "seeds": 0}
    ),
    "lab.speed.precision.choose": lambda: Call(precision.choose, {"policy": "fp32", "device": CPU}),
    # Data and noise.
    "toys.Mixture": lambda: Call(
        toys.Mixture, {"name": "mine", "centres": quarters(2, 2), "std": 0.5, "weights": torch.tensor([0.25, 0.75])},
        free=NAME,
    ),
    "toys.Mixture.minibatch": lambda: drawn(toys.ring()),
    "toys.Mixture.density": lambda: method(toys.gaussian(), "density", {"x": [0.25, 0.5]}),
    "toys.Mixture.to": lambda: method(toys.ring(), "to", {"device": "cpu"}),
    "toys.gaussian": lambda: Call(toys.gaussian, {"mean": (1.0, 2.0), "std": 0.5}),
    "toys.ring": lambda: Call(toys.ring, {"modes": 4, "radius": 2.0, "std": 0.25}),
    "toys.grid": lambda: Call(toys.grid, {"side": 2, "spacing": 2.0, "std": 0.25}),
    "sampling.Latent": lambda: Call(sampling.Latent, {"dim": 2, "law": "uniform", "low": -2.0, "high": 2.0}),
    "sampling.Latent.minibatch": lambda: drawn(sampling.Latent(2)),
    "data.images.Images": lambda: Call(
        lambda name, split, source, pixels, labels, low, high, flat, size, norm: images.Images(
            name, split, source, pixels, labels, low, high, flat, size, norm
        ).floats(),
        {"name": "a", "split": "train", "source": "b", "pixels": some_images().pixels, "labels": torch.arange(6),
         "low": -1.0, "high": 1.0, "flat": False, "size": 5, "norm": 2.0},
        free={**NAME, "split": "a name", "source": "a name"},
    ),
    "data.images.Images.floats": lambda: method(some_images(), "floats", {"index": torch.tensor([0, 1, 1])}),
    "data.images.Images.minibatch": lambda: drawn(some_images()),
    "data.images.Images.scaled": lambda: method(some_images(), "scaled", {"low": -1.0, "high": 1.0}),
    "data.images.Images.normalised": lambda: method(some_images(), "normalised", {"norm": 2.0}),
    "data.images.Images.resized": lambda: method(some_images(), "resized", {"size": 4}),
    "data.images.Images.first": lambda: method(some_images(), "first", {"n": 2}),
    "data.images.Images.to": lambda: method(some_images(), "to", {"device": "cpu"}),
    "data.load": lambda: Call(
        data.load, {"name": "digits", "split": "valid", "root": None, "download": False},
        run=lambda *a, **s: len(data.load(*a, **s)),
    ),
    "data.where": lambda: Call(data.where, {"root": "somewhere"}, run=lambda **s: str(type(data.where(**s)))),
    # Networks.
    "nets.count_parameters": lambda: Call(nets.count_parameters, {"net": net()}),
    "nets.cifar.DeconvGenerator": lambda: Call(
        cifar.DeconvGenerator, {"latent_dim": 2, "hidden": 100, "channels": 1}, run=seeded(cifar.DeconvGenerator)
    ),
    "nets.cifar.DeconvGenerator.forward": lambda: layer(made(cifar.DeconvGenerator, 2, 100, 1), "z", quarters(2, 2)),
    "nets.cifar.MaxoutConv": lambda: Call(
        cifar.MaxoutConv,
        {"inputs": 1, "channels": 2, "pieces": 2, "kernel": 3, "padding": 1, "pool": 2, "stride": 2},
        run=seeded(cifar.MaxoutConv),
    ),
    "nets.cifar.MaxoutConv.forward": lambda: layer(
        made(cifar.MaxoutConv, 1, 2, 2, 3, 1, 2, 2), "x", quarters(2, 1, 5, 5)
    ),
    "nets.cifar.MaxoutConvDiscriminator": lambda: Call(
        cifar.MaxoutConvDiscriminator, {"units": 2, "pieces": 2, "channels": 1},
        run=seeded(cifar.MaxoutConvDiscriminator),
    ),
    "nets.cifar.MaxoutConvDiscriminator.forward": lambda: layer(
        made(cifar.MaxoutConvDiscriminator, 2, 2, 1), "x", quarters(1, 1, 32, 32)
    ),
    "metrics.classifier.DigitClassifier": lambda: Call(
        classifier.DigitClassifier, {"width": 2, "hidden": 3, "seed": 0}
    ),
    "metrics.classifier.DigitClassifier.features": lambda: method(
        classifier.DigitClassifier(2, 3), "features", {"x": quarters(2, 784, most=5)}, through=True
    ),
    "metrics.classifier.DigitClassifier.forward": lambda: layer(
        classifier.DigitClassifier(2, 3), "x", quarters(2, 1, 28, 28, most=5)
    ),
    "nets.dcgan.DCGANGenerator": lambda: Call(
        nets.DCGANGenerator, {"size": 8, "channels": 1, "width": 2, "latent_dim": 2}, run=seeded(nets.DCGANGenerator)
    ),
    "nets.dcgan.DCGANGenerator.forward": lambda: layer(made(nets.DCGANGenerator, 8, 1, 2, 2), "z", quarters(2, 2)),
    "nets.dcgan.DCGANDiscriminator": lambda: Call(
        nets.DCGANDiscriminator, {"size": 8, "channels": 1, "width": 2}, run=seeded(nets.DCGANDiscriminator)
    ),
    "nets.dcgan.DCGANDiscriminator.forward": lambda: layer(
        made(nets.DCGANDiscriminator, 8, 1, 2), "x", quarters(2, 1, 8, 8)
    ),
    "nets.layers.Dropout": lambda: Call(layers.Dropout, {"keep": 0.5}),
    "nets.layers.Dropout.forward": lambda: layer(layers.Dropout(0.5).train(), "x", torch.zeros(4, 2)),
    "nets.layers.Maxout": lambda: Call(
        layers.Maxout, {"inputs": 2, "units": 2, "pieces": 2}, run=seeded(layers.Maxout)
    ),
    "nets.layers.Maxout.forward": lambda: layer(made(layers.Maxout, 2, 2, 2), "x", quarters(3, 2)),
    "nets.mlp.MLP": lambda: Call(
        nets.MLP, {"sizes": (2, 4, 1), "activation": "relu", "squeeze": None}, run=seeded(nets.MLP)
    ),
    "nets.mlp.MLP.forward": lambda: layer(net(), "x", quarters(3, 2)),
    "nets.paper.PaperGenerator": lambda: Call(
        paper.PaperGenerator,
        {"latent_dim": 2, "hidden": 4, "pixel_means": quarters(3, most=4), "outputs": 3, "second": "relu",
         "second_bias": 0.5, "output": "sigmoid", "output_range": 0.5, "nonzero": 2}, run=seeded(paper.PaperGenerator),
    ),
    "nets.paper.PaperGenerator.forward": lambda: layer(
        made(paper.PaperGenerator, 2, 4, outputs=3), "z", quarters(3, 2)
    ),
    "nets.paper.StackedGenerator": lambda: Call(
        paper.StackedGenerator,
        {"back": made(paper.PaperGenerator, 2, 4, outputs=3), "latent_dim": 2, "hidden": 4},
        run=seeded(paper.StackedGenerator),
    ),
    "nets.paper.StackedGenerator.forward": lambda: layer(
        made(paper.StackedGenerator, made(paper.PaperGenerator, 2, 4, outputs=3), 2, 4), "z", quarters(3, 2)
    ),
    "nets.paper.MaxoutDiscriminator": lambda: Call(
        paper.MaxoutDiscriminator, {"inputs": 3, "units": 2, "pieces": 2}, run=seeded(paper.MaxoutDiscriminator)
    ),
    "nets.paper.MaxoutDiscriminator.forward": lambda: layer(
        made(paper.MaxoutDiscriminator, 4, 2, 2), "x", quarters(3, 2, 2)
    ),
    "nets.paper.start": lambda: Call(
        paper.start, {"layer": nn.Linear(2, 2), "weight_range": 0.5, "bias": 0.5}
    ),
    "nets.small.BatchNormGenerator": lambda: Call(
        small.BatchNormGenerator, {"latent_dim": 2, "outputs": 3, "width": 2}, run=seeded(small.BatchNormGenerator)
    ),
    "nets.small.BatchNormGenerator.forward": lambda: layer(
        made(small.BatchNormGenerator, 2, 3, 2).train(), "z", quarters(3, 2)
    ),
    # Other models.
    "lab.models.vae.VAE": lambda: Call(
        vae.VAE, {"latent_dim": 2, "hidden": 4, "pixel_means": quarters(9, most=4), "outputs": 9, "seed": 0}
    ),
    "lab.models.vae.VAE.encode": lambda: method(
        vae.VAE(2, 4, outputs=9), "encode", {"x": quarters(3, 9, most=4)}, through=True
    ),
    "lab.models.vae.VAE.logits": lambda: method(
        vae.VAE(2, 4, outputs=9), "logits", {"z": quarters(3, 2)}, through=True
    ),
    "lab.models.vae.VAE.elbo": lambda: method(
        vae.VAE(2, 4, outputs=9), "elbo", {"x": quarters(3, 9, most=4), "noise": quarters(3, 2)}, through=True
    ),
    "lab.models.vae.elbo": lambda: Call(
        vae.elbo,
        {"mean": quarters(3, 2), "log_variance": quarters(3, 2), "noise": quarters(3, 2),
         "log_likelihood": lambda z: z.sum(1)}, through=True,
    ),
    "lab.models.vae.kl_to_prior": lambda: Call(
        vae.kl_to_prior, {"mean": quarters(3, 2), "log_variance": quarters(3, 2)}, through=True
    ),
    "lab.models.vae.train": lambda: Call(
        vae.train,
        {"vae": vae.VAE(2, 4, outputs=9), "data": some_images(flat=True), "iterations": 1, "every": 1, "m": 2,
         "lr": 0.5, "seed": 0}, run=lambda *a, **s: next(vae.train(*a, **s)),
    ),
    "lab.models.vae.bounds": lambda: Call(
        vae.bounds, {"vae": vae.VAE(2, 4, outputs=9), "data": some_images(flat=True), "seed": 0, "batch": 4}
    ),
    "lab.models.vae.latent": lambda: Call(vae.latent, {"decoder": vae.VAE(2, 4, outputs=9).decoder}),
    "lab.models.vae.samples": lambda: Call(
        vae.samples, {"decoder": vae.VAE(2, 4, outputs=9).decoder, "n": 3, "seed": 0}
    ),
    "lab.models.vae.decoder_file": lambda: Call(
        vae.decoder_file, {"vae": vae.VAE(2, 4, outputs=9), "iteration": 3, "data_sha256": "0" * 64}
    ),
    "lab.models.rbm.RBM": lambda: Call(rbm.RBM, {"visible": 4, "hidden": 3, "means": quarters(4, most=4), "seed": 0}),
    "lab.models.rbm.RBM.hidden_probabilities": lambda: method(
        rbm.RBM(4, 3), "hidden_probabilities", {"v": coins(2, 4)}, through=True
    ),
    "lab.models.rbm.RBM.visible_probabilities": lambda: method(
        rbm.RBM(4, 3), "visible_probabilities", {"h": coins(2, 3)}, through=True
    ),
    "lab.models.rbm.RBM.gibbs": lambda: method(
        rbm.RBM(4, 3), "gibbs", {"v": coins(2, 4), "steps": 2, "rng": rng()}, through=True
    ),
    "lab.models.rbm.RBM.free_energy": lambda: method(rbm.RBM(4, 3), "free_energy", {"v": coins(2, 4)}, through=True),
    "lab.models.rbm.RBM.statistics": lambda: method(rbm.RBM(4, 3), "statistics", {"v": coins(2, 4)}, through=True),
    "lab.models.rbm.RBM.climb": lambda: method(
        rbm.RBM(4, 3), "climb", {"v": coins(2, 4), "chains": coins(3, 4), "rate": 0.5}, through=True
    ),
    "lab.models.dbn.PersistentContrast": lambda: Call(dbn.PersistentContrast, contrast_arguments()),
    "lab.models.dbn.PersistentContrast.advance": lambda: method(contrast(), "advance", {"updates": 2}),
    "lab.models.dbn.PersistentContrast.update": lambda: method(
        contrast(), "update", {"batch": quarters(2, 4, most=4)}, through=True
    ),
    "lab.models.dbn.DBN": lambda: Call(
        dbn.DBN, {"visible": 4, "hidden": (3, 2), "means": quarters(4, most=4), "seed": 0}
    ),
    "lab.models.dbn.DBN.begin": lambda: method(dbn.DBN(4, (3, 2)), "begin", {"images": quarters(2, 4, most=4)}),
    "lab.models.dbn.DBN.chain": lambda: method(
        dbn.DBN(4, (3, 2)), "chain", {"start": quarters(2, 4, most=4), "steps": 2, "rng": rng()}
    ),
    "lab.models.rbm.train": lambda: Call(
        rbm.train,
        {"rbm": rbm.RBM(4, 3), "data": coins(5, 4), "iterations": 1, "every": 1, "m": 2, "lr": 0.5, "seed": 0},
        run=lambda *a, **s: next(rbm.train(*a, **s)),
    ),
    "lab.models.learning.Descent": lambda: Call(Descent, descent_arguments()),
    "lab.models.learning.Descent.update": lambda: Call(
        descent().update,
        {"batch": quarters(2, 3)},
        run=lambda batch: descent().update(batch),
        through=True,
    ),
    "lab.models.learning.Learning.advance": lambda: Call(
        descent().advance, {"updates": 2}, run=lambda updates: descent().advance(updates)
    ),
    "lab.models.contractive.CAE": lambda: Call(contractive.CAE, {"visible": 4, "hidden": 3, "seed": 0}),
    "lab.models.contractive.CAE.encode": lambda: method(
        contractive.CAE(4, 3), "encode", {"x": quarters(2, 4)}, through=True
    ),
    "lab.models.contractive.CAE.decode": lambda: method(
        contractive.CAE(4, 3), "decode", {"h": quarters(2, 3)}, through=True
    ),
    "lab.models.contractive.CAE.penalty": lambda: method(
        contractive.CAE(4, 3), "penalty", {"x": quarters(2, 4)}, through=True
    ),
    "lab.models.contractive.CAE.loss": lambda: method(
        contractive.CAE(4, 3), "loss", {"x": quarters(2, 4, most=4), "contraction": 0.5}, through=True
    ),
    "lab.models.contractive.CAE.perturbation": lambda: method(
        contractive.CAE(4, 3), "perturbation", {"h": quarters(2, 3), "noise": quarters(2, 3, seed=1)}, through=True
    ),
    "lab.models.contractive.StackedCAE": lambda: Call(contractive.StackedCAE, {"sizes": (4, 3, 2), "seed": 0}),
    "lab.models.contractive.StackedCAE.encode": lambda: method(
        contractive.StackedCAE((4, 3, 2)), "encode", {"x": quarters(2, 4)}, through=True
    ),
    "lab.models.contractive.StackedCAE.decode": lambda: method(
        contractive.StackedCAE((4, 3, 2)), "decode", {"h": quarters(2, 2)}, through=True
    ),
    "lab.models.contractive.StackedCAE.inputs": lambda: method(
        contractive.StackedCAE((4, 3, 2)), "inputs", {"layer": 1, "images": quarters(3, 4), "batch": 2}, through=True
    ),
    "lab.models.contractive.StackedCAE.chain": lambda: method(
        contractive.StackedCAE((4, 3, 2)),
        "chain",
        {"start": quarters(2, 4, most=4), "steps": 2, "rng": rng(), "sigma": 0.5, "walk": "top"},
    ),
    "lab.models.contractive.training": lambda: Call(
        contractive.training,
        {"cae": contractive.CAE(4, 3), "data": quarters(5, 4, most=4), "contraction": 0.5, "lr": 0.5}
        | {"lr_decay": 0.5, "momentum": 0.5, "m": 2, "seed": 0},
    ),
    "lab.models.gsn.GSN": lambda: Call(
        GSN,
        {
            "visible": 4,
            "hidden": (3, 2),
            "activation": "tanh",
            "salt_and_pepper": 0.5,
            "hidden_noise": (0.5, 2.0),
            "input_sampling": True,
            "seed": 0,
        },
    ),
    "lab.models.gsn.GSN.corrupted": lambda: method(
        GSN(4, (3,)), "corrupted", {"x": coins(2, 4), "rng": rng()}, through=True
    ),
    "lab.models.gsn.GSN.loss": lambda: method(
        GSN(4, (3,)), "loss", {"batch": coins(2, 4), "rng": rng(), "walkbacks": 2}, through=True
    ),
    "lab.models.gsn.GSN.chain": lambda: method(
        GSN(4, (3, 2)), "chain", {"start": coins(2, 4), "steps": 2, "rng": rng()}
    ),
    "lab.models.rbm.file": lambda: Call(rbm.file, {"rbm": rbm.RBM(4, 3), "iteration": 3}),
    # Sampling and measuring.
    "sampling.sample": lambda: Call(
        sampling.sample, {"generator": net((2, 4, 3)), "latent": sampling.Latent(2), "n": 3, "seed": 0, "batch": 2}
    ),
    "sampling.push": lambda: Call(sampling.push, {"generator": net((2, 4, 3)), "z": quarters(3, 2), "batch": 2}),
    "sampling.interpolate": lambda: Call(
        sampling.interpolate, {"start": quarters(3, 2), "end": quarters(3, 2, seed=1), "steps": 3}
    ),
    "sampling.evaluating": lambda: Call(
        lambda net: None, {"net": net()}, run=lambda net: entered(sampling.evaluating, net)
    ),
    "metrics.features.digit_classifier": lambda: Call(features.digit_classifier, {"folder": features.ASSETS}),
    "metrics.features.classifier_from": lambda: Call(
        features.classifier_from, {"content": features.classifier_file(features.digit_classifier()), "name": "mine"},
        free=NAME,
    ),
    "metrics.features.classifier_file": lambda: Call(
        features.classifier_file, {"net": classifier.DigitClassifier(2, 3)}
    ),
    "metrics.features.digit_features": lambda: Call(
        features.digit_features,
        {"images": quarters(2, 784, most=5), "net": classifier.DigitClassifier(2, 3), "batch": 2},
    ),
    "metrics.features.digit_classes": lambda: Call(
        features.digit_classes,
        {"images": quarters(2, 784, most=5), "net": classifier.DigitClassifier(2, 3), "batch": 2},
    ),
    "metrics.ais.schedule": lambda: Call(ais.schedule, {"count": 3, "spread": 2.0}),
    "metrics.ais.from_normal": lambda: Call(
        ais.from_normal, {"latent": sampling.Latent(2), "e": quarters(3, 2)}, through=True
    ),
    "metrics.ais.gaussian": lambda: Call(
        ais.gaussian, {"decoder": square, "x": quarters(3, 2), "s": 0.5},
        run=lambda *a, **s: ais.gaussian(*a, **s)(quarters(3, 2, 2)),
    ),
    "metrics.ais.transition": lambda: Call(
        ais.transition,
        {"log_likelihood": bell, "z": quarters(2, 3, 2), "beta": 0.5, "step_size": 0.25, "leapfrog": 2, "rng": rng()},
    ),
    "metrics.ais.tuned": lambda: Call(
        ais.tuned,
        {"log_likelihood": bell, "z": quarters(2, 3, 2), "betas": [0.0, 0.25, 0.5, 1.0], "leapfrog": 2,
         "target": 0.5, "pilot": 3, "rng": rng()},
    ),
    "metrics.ais.forward": lambda: Call(ais.forward, annealing()),
    "metrics.ais.reverse": lambda: Call(ais.reverse, annealing()),
    "metrics.autocorrelation.autocorrelation": lambda: Call(
        autocorrelation.autocorrelation, {"x": quarters(8, 2), "lags": [0, 1, 2]}
    ),
    "metrics.autocorrelation.effective_samples": lambda: Call(
        autocorrelation.effective_samples, {"x": quarters(32, 2)}
    ),
    "metrics.birthday.birthday_test": lambda: Call(
        birthday.birthday_test, {"samples": quarters(9, 2), "batch": 3, "threshold": 0.5, "pairs": 2, "seed": 0},
        maybe=True,
    ),
    "metrics.birthday.calibrate_threshold": lambda: Call(
        birthday.calibrate_threshold, {"real": quarters(9, 2), "batch": 3, "share": 0.5, "shuffles": 2, "seed": 0}
    ),
    "metrics.birthday.closest_pairs": lambda: Call(
        birthday.closest_pairs, {"samples": quarters(9, 2), "batch": 3, "seed": 0}
    ),
    "metrics.birthday.duplicate_probability": lambda: Call(
        birthday.duplicate_probability, {"batch": 23, "support": 365.0}
    ),
    "metrics.birthday.support_size": lambda: Call(birthday.support_size, {"share": 0.5, "batch": 23}, maybe=True),
    "metrics.birthday.wilson_interval": lambda: Call(
        birthday.wilson_interval, {"hits": 3, "trials": 9, "z": 2.0}
    ),
    "metrics.coverage.precision_recall": lambda: Call(
        coverage.precision_recall, {"real": quarters(6, 2), "fake": quarters(5, 2, seed=1), "k": 2}
    ),
    "metrics.frechet.frechet_distance": lambda: Call(
        frechet.frechet_distance, {"real": quarters(6, 2), "fake": quarters(5, 2, seed=1)}, maybe=True
    ),
    "metrics.frechet.real_floor": lambda: Call(
        frechet.real_floor, {"real": quarters(8, 2), "n": 3, "splits": 2, "seed": 0}, maybe=True
    ),
    "metrics.kid.kernel_distance": lambda: Call(
        kid.kernel_distance, {"real": quarters(6, 2), "fake": quarters(5, 2, seed=1)}
    ),
    "metrics.kmeans.kmeans": lambda: Call(kmeans.kmeans, {"points": quarters(8, 2), "k": 2, "rounds": 2, "seed": 0}),
    "metrics.kmeans.lloyd": lambda: Call(
        kmeans.lloyd, {"points": quarters(8, 2), "centres": quarters(2, 2, seed=1), "rounds": 2}
    ),
    "metrics.modes.count_modes": lambda: Call(
        modes.count_modes, {"samples": quarters(8, 2), "mixture": toys.ring(std=0.25), "minimum_share": 0.25}
    ),
    "metrics.neighbours.nearest": lambda: Call(
        neighbours.nearest, {"samples": quarters(8, 2), "training": quarters(7, 2, seed=1), "batch": 3}, maybe=True
    ),
    "metrics.neighbours.copy_threshold": lambda: Call(
        neighbours.copy_threshold, {"distance_of_new": quarters(8), "share": 0.25}
    ),
    "metrics.parzen.log_likelihoods": lambda: Call(
        parzen.log_likelihoods, {"samples": quarters(8, 2), "points": quarters(7, 2, seed=1), "sigmas": [0.5, 1.0]}
    ),
    "metrics.parzen.evaluate": lambda: Call(
        parzen.evaluate,
        {"samples": quarters(8, 2), "valid": quarters(7, 2, seed=1), "test": quarters(7, 2, seed=2),
         "sigmas": [0.5, 1.0]},
    ),
    "metrics.parzen.evaluate_original": lambda: Call(
        parzen.evaluate_original,
        {"samples": quarters(8, 2), "valid": quarters(7, 2, seed=1), "test": quarters(7, 2, seed=2),
         "sigmas": [0.5, 1.0], "batch": 3},
    ),
    "metrics.two_sample.classifier_test": lambda: Call(
        two_sample.classifier_test,
        {"critic": net(), "real": quarters(8, 2), "fake": quarters(8, 2, seed=1), "steps": 2, "lr": 0.5, "seed": 0},
    ),
    "lab.parzen_sweep.sweep": lambda: Call(
        parzen_sweep.sweep,
        {"kernels": {"a": quarters(4, 2, most=4)}, "valid": quarters(3, 2), "test": quarters(3, 2, seed=1),
         "sigmas": [0.5, 1.0], "examples": 2, "seed": 0},
    ),
    "lab.parzen_sweep.check": lambda: Call(parzen_sweep.check, {"run": runs.get("mnist-paper")}),
    # Drawing.
    "figures.figure1": lambda: Call(
        figures.figure1,
        {"axis": axis(), "x": [0.0, 0.5, 1.0], "p_data": [0.0, 0.5, 1.0], "p_g": [0.0, 0.5, 1.0],
         "d": [0.0, 0.5, 1.0], "z": [0.0, 1.0], "g_of_z": [0.0, 1.0], "title": ""},
        run=closing(figures.figure1), through=True, free=TITLE,
    ),
    "figures.image_grid": lambda: Call(
        figures.image_grid, {"images": quarters(2, 1, 2, 2), "columns": 2, "title": "", "axis": None},
        run=closing(figures.image_grid), free=TITLE,
    ),
    "figures.samples_with_neighbours": lambda: Call(
        figures.samples_with_neighbours,
        {"samples": quarters(2, 1, 2, 2), "neighbours": quarters(1, 1, 2, 2), "columns": 2, "title": ""},
        run=closing(figures.samples_with_neighbours), free=TITLE,
    ),
    "figures.training_curves": lambda: Call(
        figures.training_curves, {"reports": REPORTS, "equilibrium": 1.0}, run=closing(figures.training_curves)
    ),
    "figures.sigma_sweep": lambda: Call(
        figures.sigma_sweep,
        {"results": {"a": parzen.evaluate(quarters(8, 2), quarters(3, 2), quarters(3, 2), [0.5, 1.0])}},
        run=closing(figures.sigma_sweep),
    ),
    "figures.scatter": lambda: Call(
        figures.scatter,
        {"axis": axis(), "samples": quarters(3, 2), "data": quarters(3, 2), "title": "", "limit": 1.5},
        run=closing(figures.scatter), free=TITLE,
    ),
    "figures.as_tiles": lambda: Call(figures.as_tiles, {"images": quarters(2, 1, 2, 2), "name": "images"}, free=NAME),
    # Widgets.
    "widgets.dirac_gan.DiracGan": lambda: widget(widgets.DiracGan),
    "widgets.figure1_live.Figure1Live": lambda: widget(widgets.Figure1Live),
    "widgets.latent_explorer.LatentExplorer": lambda: widget(widgets.LatentExplorer),
    "widgets.optimal_discriminator.OptimalDiscriminator": lambda: widget(widgets.OptimalDiscriminator),
    "widgets.parzen_explorer.ParzenExplorer": explorer,
    "widgets.playground.Playground": lambda: widget(widgets.Playground),
}  # fmt: skip

INSIDE = "called by ganlib with what it has checked"
CHECKS = "a check of arguments itself, which the calls above go through"
TORCH = "torch's own, with its errors"
WIDGET = "the base of the widgets above, or what stands in their place"


def each(why, names):
    return dict.fromkeys(names.split(), why)


def descent_arguments():
    torch.default_generator.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    loss = lambda batch, rng: model(batch).square().mean()  # noqa: E731
    numbers = {"lr": 0.5, "lr_decay": 0.5, "momentum": 0.5, "m": 2, "seed": 0}
    return {"model": model, "data": quarters(5, 3, most=4), "loss": loss, **numbers}


def contrast_arguments():
    return {"rbm": rbm.RBM(4, 3), "data": quarters(5, 4, most=4), "epochs": 2, "lr": 0.5, "m": 2, "seed": 0}


def contrast():
    return dbn.PersistentContrast(**contrast_arguments())


def descent():
    return Descent(**descent_arguments())


LEFT_OUT = {
    **each("a protocol", "algorithm1.Source algorithm1.Source.minibatch"),
    **each("of an abstract class", "lab.models.learning.Learning lab.models.learning.Learning.update"),
    **each("takes a Game, which was checked", """algorithm1.iteration algorithm1.simultaneous_iteration
        algorithm1.Game.logits algorithm1.Game.figures"""),
    **each("a record of results, made by ganlib", """algorithm1.Report metrics.ais.Estimate metrics.birthday.Birthday
        metrics.coverage.Coverage metrics.frechet.Floor metrics.kid.KernelDistance metrics.modes.ModeCount
        metrics.parzen.ParzenResult metrics.two_sample.TwoSampleTest"""),
    **each("words on a result", "metrics.parzen.end_of_grid lab.parzen_sweep.remarks"),
    **each("takes no argument", """data.images.Images.mean data.images.Images.flattened
        nets.layers.Dropout.extra_repr lab.speed.ensembles.Ensemble.modules lab.randomness.Randomness.state
        lab.randomness.current figures.block_diagram figures.use_style widgets.latent_explorer.weights_file
        widgets.latent_explorer.weights widgets.latent_explorer.about widgets.latent_explorer.digits
        widgets.base.Finite.info lab.models.learning.Learning.own lab.models.learning.Learning.state
        lab.models.learning.Descent.own lab.models.dbn.PersistentContrast.own"""),
    **each(TORCH, """lab.speed.ensembles.Ensemble.train lab.speed.precision.InBfloat16.forward"""),
    **each(INSIDE, """nets.layers.Dropout.mask lab.optimisers.restored lab.randomness.Randomness.keep_mask
        lab.randomness.Randomness.in_parts metrics.watch.Watch.begin metrics.watch.Watch.remarked
        lab.speed.precision.has_bf16 lab.speed.precision.active lab.speed.precision.InBfloat16
        nets.players.check_samples nets.players.one_a_sample nets.players.look nets.players.check_minibatch
        lab.models.rbm.draw"""),
    **each(CHECKS, """metrics.parzen.checked limits.shown limits.check limits.outside limits.real limits.one_of
        limits.flag limits.kind limits.floats tensors.real tensors.points tensors.scaled tensors.unit
        tensors.fits tensors.drawing tensors.generator tensors.device_of"""),
    **each("a state's, which test_learning damages", "lab.models.learning.Learning.load"),
    **each("a file's, which test_rbm and test_vae damage", "lab.models.rbm.load lab.models.vae.load_decoder"),
    **each("a checkpoint's, which test_hostile damages", """lab.history.as_tensor lab.history.curves
        lab.history.spans lab.history.check_inputs lab.history.check_input lab.history.note_differences
        lab.randomness.Randomness.check"""),
    **each("a run's, by the command line: test_parzen_sweep", "lab.parzen_sweep.sweep_run"),
    **each(WIDGET, """widgets.absent.stand_in widgets.base.Finite widgets.base.Finite.validate
        widgets.base.Choice widgets.base.Choice.validate widgets.base.Widget"""),
    **each("of ganlib's own files: test_widgets", "widgets.bundle.bundle"),
}  # fmt: skip


def test_every_public_function_is_fuzzed_or_left_out_with_a_reason():
    names = set(fuzz.public())
    assert names - set(CALLS) - set(LEFT_OUT) == set()
    assert (set(CALLS) | set(LEFT_OUT)) - names == set()
    assert not set(CALLS) & set(LEFT_OUT)


@pytest.mark.parametrize("name", CALLS)
def test_hostile_arguments_are_refused_by_name_or_give_what_they_mean(name):
    with mpl.rc_context({"backend": "agg"}):
        call = CALLS[name]()
        if name not in ("sampling.evaluating",):
            assert set(call.arguments) == {p.name for p in call.parameters()}, "a valid call has every parameter"
        calls, wrong = fuzz.fuzz(CALLS[name])
    assert calls >= 20
    assert not wrong, "\n".join([f"{len(wrong)} of {calls} calls:", *wrong])
