"""The engine is held to the plain loop: every fast path computes what `ganlib.algorithm1` computes eagerly."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlib import algorithm1
from ganlib.errors import Diverged, OutOfMemory
from ganlib.lab import optimisers, randomness, runs
from ganlib.lab.randomness import Randomness
from ganlib.lab.speed import graphs
from ganlib.lab.speed.ensembles import Ensemble
from ganlib.lab.speed.game import FastGame
from ganlib.lab.speed.precision import has_bf16
from ganlib.lab.training import Training
from ganlib.nets import MLP, layers
from ganlib.nets.layers import Dropout

BF16 = pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="needs bfloat16 in hardware")
# One of each kind: SGD with schedules, dropout and maxout; Adam without; batch normalisation; convolutions.
SMALL = {
    "mnist-paper": {"data": "digits", "width": 24, "units": 6, "m": 10},
    "mnist-paper-alternating": {"data": "digits", "width": 24, "units": 6, "m": 10, "k": 2},
    "small-mlp": {"data": "digits", "width": 8, "m": 8},
    "dcgan-mnist": {"data": "digits", "width": 4, "m": 6},
    "ring8": {"width": 16, "m": 16},
    "figure1": {"width": 8, "m": 16},
}


def small(name, **overrides):
    return runs.get(name, {**SMALL[name], "iterations": 12, "every": 4, **overrides})


def weights(training, seed=None):
    return torch.cat([p.detach().flatten().cpu() for net in training.networks(seed) for p in net.parameters()])


def finished(run, **settings):
    training = Training(run, **{"device": "cpu", **settings})
    return training, list(training.reports())


@pytest.mark.parametrize("name", ["mnist-paper-alternating", "small-mlp", "dcgan-mnist", "ring8"])
def test_one_seed_is_algorithm_1(name, monkeypatch):
    """To rounding: the engine's D sees data and samples in one pass, and its convolutions have channels last."""

    def mask(layer, x):  # the same in any order of passes; whose random numbers masks are is another test's
        return (torch.arange(x.shape[-1]) % 3 > 0).to(x.dtype) / layer.keep

    for owner, name_of_it in ((Dropout, "mask"), (randomness, "_masks"), (randomness, "_alone")):
        monkeypatch.setattr(owner, name_of_it, mask)
    run = small(name, update="alternating")
    training, reports = finished(run, seeds=[3])
    data = runs.load_data(run)
    generator, discriminator = runs.networks(run, 3, data)
    d_optimiser = optimisers.build(run, discriminator, run.d_lr)
    g_optimiser = optimisers.build(run, generator, run.g_lr)
    plain = algorithm1.algorithm1(
        generator, discriminator, data, runs.latent(run), d_optimiser=d_optimiser, g_optimiser=g_optimiser,
        iterations=12, every=4, k=run.k, m=run.m, loss=run.loss, reduction=run.reduction,
        schedule=optimisers.schedule(run, d_optimiser, g_optimiser), seed=3,
    )  # fmt: skip
    its = list(plain)
    expected = torch.cat([p.detach().flatten() for net in (generator, discriminator) for p in net.parameters()])
    torch.testing.assert_close(weights(training), expected, atol=1e-4, rtol=1e-3)
    assert [each[0].iteration for each in reports] == [one.iteration for one in its]
    for figure in ("d_loss", "g_loss", "d_real", "d_fake"):
        assert [getattr(r[0], figure) for r in reports] == pytest.approx([getattr(r, figure) for r in its], abs=1e-3)


@pytest.mark.parametrize("name", ["mnist-paper-alternating", "small-mlp", "ring8"])
def test_one_seed_is_the_iteration_repeated_to_the_bit(name):
    """A plain loop over `iteration` with the engine's game and the run's masks; see above for the lecture's game."""
    run = small(name, update="alternating")
    training, reports = finished(run, seeds=[3])
    data = runs.load_data(run)
    generator, discriminator = runs.networks(run, 3, data)
    both = [optimisers.build(run, net, lr) for net, lr in ((discriminator, run.d_lr), (generator, run.g_lr))]
    schedule = optimisers.schedule(run, *both)
    game = FastGame(generator, discriminator, data, runs.latent(run), *both, run.k, run.m, run.loss, run.reduction)
    with Randomness([3], torch.device("cpu")) as random:
        figures = []
        for done in range(12):
            if schedule:
                schedule(done)
            figures.append(algorithm1.iteration(game, random.generators[0]))
    expected = torch.cat([p.detach().flatten() for net in (generator, discriminator) for p in net.parameters()])
    assert torch.equal(weights(training), expected)
    for i, (report,) in enumerate(reports):
        mean = (sum(figures[4 * i : 4 * i + 4]) / 4).tolist()
        assert [report.d_loss, report.g_loss, report.d_real, report.d_fake] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize("seeds", [[3], [3, 4]])
def test_logits_that_are_not_one_a_sample_are_refused_before_any_step(monkeypatch, seeds, update):
    class Column(MLP):
        def forward(self, x):
            return super().forward(x)[..., None]

    run = small("ring8", update=update)
    networks = runs.networks
    monkeypatch.setattr(runs, "networks", lambda *args: (networks(*args)[0], Column((2, 8, 1))))
    training = Training(run, seeds=seeds, device="cpu")
    before = weights(training)
    with pytest.raises(ValueError, match=r"D's logits have shape \((16|32|64), 1\)"):
        training.advance(1)
    assert torch.equal(weights(training), before)
    assert not any(optimiser.state for _, optimiser in training.optimisers())


def test_simultaneous_update_is_that_of_the_original_code(monkeypatch):
    """Both players step from the same parameters, on the same minibatch, in one pass; momentum and decay included."""
    networks = runs.networks

    def steep(*args):  # the published start of D is so flat that G hardly moves in five steps
        generator, discriminator = networks(*args)
        with torch.no_grad():
            for p in discriminator.parameters():
                p.mul_(100)
        return generator, discriminator

    monkeypatch.setattr(runs, "networks", steep)
    run = small("mnist-paper", iterations=5, every=5)
    training, _ = finished(run, seeds=[2])
    data = runs.load_data(run)
    generator, discriminator = runs.networks(run, 2, data)
    start = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (generator, discriminator)]
    random, latent = Randomness([2], torch.device("cpu")), runs.latent(run)
    speed = {p: torch.zeros_like(p) for net in (generator, discriminator) for p in net.parameters()}
    m = run.m
    with random:
        for done in range(5):
            z, x = latent.minibatch(m, random.generators[0]), data.minibatch(m, random.generators[0])
            with random.in_parts(2):
                on_both = discriminator(torch.cat([x, generator(z)]))
            d_loss = binary_cross_entropy_with_logits(
                on_both, torch.cat([torch.ones(m), torch.zeros(m)])
            )  # has the 1/2
            g_loss = binary_cross_entropy_with_logits(on_both[m:], torch.ones(m))
            d_grads = torch.autograd.grad(d_loss, list(discriminator.parameters()), retain_graph=True)
            g_grads = torch.autograd.grad(g_loss, list(generator.parameters()))
            rate = 0.1 / 1.000004**done
            with torch.no_grad():
                for net, grads in ((discriminator, d_grads), (generator, g_grads)):
                    for p, g in zip(net.parameters(), grads, strict=True):
                        speed[p] = 0.5 * speed[p] + g
                        p -= rate * speed[p]
    for before, net, trained in zip(start, (generator, discriminator), training.networks(), strict=True):
        expected, found = (torch.cat([p.detach().flatten() for p in n.parameters()]) for n in (net, trained))
        assert (expected - before).abs().max() > 1e-3  # a thousand times the tolerance: no step can be left out unseen
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_each_of_many_seeds_is_its_own_run(name):
    run = small(name)
    seeds = [5, 0, 9]
    together, reports = finished(run, seeds=seeds)
    for i, seed in enumerate(seeds):
        alone, its = finished(run, seeds=[seed])
        torch.testing.assert_close(weights(together, seed), weights(alone), atol=2e-4, rtol=2e-3)
        for both in zip(reports, its, strict=True):
            one, own = both[0][i], both[1][0]
            assert one.iteration == own.iteration
            assert one.d_loss == pytest.approx(own.d_loss, abs=2e-3)
            assert one.g_loss == pytest.approx(own.g_loss, abs=2e-3)
        for mine, theirs in zip(together.networks(seed), alone.networks(), strict=True):
            for (buffer_name, a), b in zip(mine.named_buffers(), theirs.buffers(), strict=True):
                torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3, msg=buffer_name)
    assert not torch.equal(weights(together, 5), weights(together, 0))


def test_dropout_and_noise_are_independent_between_seeds():
    net = layers.Dropout(0.5)
    ensemble = Ensemble([net, net])
    with Randomness([1, 2], torch.device("cpu")):
        masks = ensemble(torch.ones(2, 100, 100))
    with Randomness([2], torch.device("cpu")):
        alone = net(torch.ones(100, 100))
    assert torch.equal(masks[1], alone)  # a seed's masks are those it draws alone
    agree = (masks[0] == masks[1]).double().mean().item()
    assert agree == pytest.approx(0.5, abs=4 * 0.5 / 100)  # four standard errors over 10,000 entries


@BF16
@pytest.mark.parametrize("name", ["mnist-paper", "dcgan-mnist"])  # dropout and maxout; convolutions and batch norm
def test_an_ensemble_computes_in_bfloat16_what_autocast_computes_alone(name):
    run = small(name, iterations=1, every=1)
    start = weights(Training(run, seeds=[1], device="cpu"))
    together, _ = finished(run, seeds=[0, 1], precision="bf16")
    alone, _ = finished(run, seeds=[1], precision="bf16")
    exact, _ = finished(run, seeds=[1])
    steps = weights(together, 1) - start, weights(alone) - start
    assert torch.nn.functional.cosine_similarity(*steps, dim=0).item() > 0.999
    assert not torch.equal(weights(together, 1), weights(exact))  # it was not float32 after all


@BF16
def test_bfloat16_gradients_point_where_float32_ones_do():
    """Step by step, from the same weights: the cosine between the two updates."""
    run = small("mnist-paper-alternating", iterations=1, every=1, k=1, width=64)
    start = weights(Training(run, device="cpu"))
    steps = [weights(finished(run, precision=precision)[0]) - start for precision in ("fp32", "bf16")]
    assert torch.nn.functional.cosine_similarity(*steps, dim=0).item() > 0.999


@pytest.mark.parametrize("name", ["mnist-paper", "small-mlp", "ring8", "dcgan-mnist"])
@pytest.mark.parametrize("seeds", [[4], [4, 7]])
@pytest.mark.parametrize("at", [1, 6, 8])
def test_a_state_taken_anywhere_leads_to_the_same_end(name, seeds, at):
    run = small(name)
    whole, reports = finished(run, seeds=seeds)
    first = Training(run, seeds=seeds, device="cpu")
    steps = iter(range(at))
    before = list(first.reports(stop=lambda: next(steps, None) is None))
    assert first.iteration == at
    state = {key: tensor.clone() for key, tensor in first.state().items()}
    second = Training(run, seeds=seeds, device="cpu")
    torch.rand(5)
    second.load(state)
    after = list(second.reports())
    assert before + after == reports
    final, expected = second.state(), whole.state()
    assert final.keys() == expected.keys()
    assert all(torch.equal(final[key], expected[key]) for key in final)


def test_a_state_of_other_networks_is_refused_and_changes_nothing():
    training = Training(small("ring8"), device="cpu")
    before = weights(training)
    with pytest.raises(ValueError, match=r"the saved generator is another one; .*generator\.layers\.0\.weight"):
        training.load(Training(small("ring8", width=8), device="cpu").state())
    assert torch.equal(weights(training), before)


@pytest.mark.parametrize("lacking", ["random.seed.0", "progress", "d_optimiser.0.exp_avg"])
def test_an_incomplete_state_is_refused_and_changes_nothing(lacking):
    other = Training(small("ring8"), seeds=[8], device="cpu")
    other.advance(2)
    state = other.state()
    del state[lacking]
    training = Training(small("ring8"), device="cpu")
    before = weights(training)
    with pytest.raises(ValueError, match="state"):
        training.load(state)
    assert torch.equal(weights(training), before)


@pytest.mark.parametrize("seeds", [[4], [4, 7]])
def test_a_loss_that_is_not_finite_names_the_seed_and_the_iterations(seeds):
    training = Training(small("ring8", d_lr=1e30, g_lr=1e30), seeds=seeds, device="cpu")
    with pytest.raises(
        Diverged, match=r"ring8, seed 4: (D's loss|G's loss|.* stopped being finite) .*between iterations 1 and 4"
    ):
        list(training.reports())


@pytest.mark.parametrize(("seeds", "says"), [([4], "seed 4"), ([4, 7], "seed 7")])
def test_a_weight_that_is_not_finite_is_named(seeds, says):
    training = Training(small("mnist-paper"), seeds=seeds, device="cpu")
    training.advance(4)
    net = training.generator.members if len(seeds) > 1 else training.generator
    net.hidden2.bias.data.view(-1)[-1] = math.nan  # after the last loss was computed: only looking finds it
    with pytest.raises(
        Diverged, match=rf"{says}: generator\.hidden2\.bias stopped being finite between iterations 1 and 4"
    ):
        training._report()


def test_norms_are_limited_row_by_row():
    """Those above the limit are scaled to it, the others are not touched; of many nets at once as of one."""
    torch.manual_seed(0)
    weight = torch.randn(3, 5, 4)
    before, norms = weight.clone(), weight.norm(dim=-1, keepdim=True)
    assert (norms > 2).any()
    assert (norms < 2).any()
    optimisers.limit_norms([weight], 2.0)
    torch.testing.assert_close(weight, torch.where(norms > 2, before * 2 / norms, before))
    one = before[1].clone()
    optimisers.limit_norms([one], 2.0)
    assert torch.equal(one, weight[1])


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_run_with_a_norm_limit_keeps_it_after_every_update(seeds):
    run = runs.get("tfd", {"data": "digits", "width": 120, "units": 6, "m": 10, "iterations": 3, "every": 3})
    training, _ = finished(run, seeds=seeds)
    norms = [
        parameter.norm(dim=-1).max().item()
        for _, net in training.nets()
        for name, parameter in net.named_parameters()
        if name.endswith("weight")
    ]
    assert max(norms) == pytest.approx(run.max_norm, rel=1e-5)  # the sparse output starts far above it


@pytest.mark.parametrize(
    ("name", "m", "says"),
    [("ring8", 16, "try m = 8"), ("ring8", 1, "try narrower networks"), ("small-mlp", 2, "try narrower networks")],
)
def test_out_of_memory_says_what_to_try(monkeypatch, name, m, says):
    training = Training(small(name, m=m), device="cpu")

    def full():
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes")

    monkeypatch.setattr(training, "_iterate", full)
    with pytest.raises(OutOfMemory, match=says):
        training.advance(1)


def test_other_runtime_errors_stay_what_they_are(monkeypatch):
    training = Training(small("ring8"), device="cpu")
    monkeypatch.setattr(training, "_iterate", lambda: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match=r"inconsistent tensor size|size mismatch"):
        training.advance(1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"precision": "fp8"}, "precision is 'fp8'; there are auto, fp32, tf32, bf16"),
        ({"precision": "tf32", "device": "cpu"}, "cpu has no tf32"),
        ({"seeds": [1, 1]}, "none twice"),
        ({"seeds": []}, "at least one"),
        ({"graph": True, "device": "cpu"}, "a CUDA graph was asked for on cpu"),
    ],
)
def test_impossible_combinations_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        Training(small("ring8"), **{"device": "cpu", **settings})


@pytest.mark.parametrize("momentum", [0.5, 0.0])
def test_moving_settings_do_inside_tensors_what_the_schedule_does_with_numbers(momentum):
    """The captured graph's learning rate and momentum, run eagerly: the same weights as plain floats give."""
    run = small("mnist-paper", momentum=momentum, momentum_epochs=3, epoch=2, lr_decay=1.05, iterations=9, every=9)
    plain, _ = finished(run)
    moved = Training(run, device="cpu")
    players = (moved.game.d_optimiser, moved.game.g_optimiser)
    moving = graphs.Moving(players, moved.schedule, 4, moved.device)
    with moved.randomness:
        for start in (0, 4, 8):
            moving.plan(start, min(4, 9 - start))
            for _ in range(start, min(start + 4, 9)):
                moving.advance()
                moved._iterate()
    torch.testing.assert_close(weights(moved), weights(plain), atol=1e-6, rtol=1e-5)
    assert float(players[0].param_groups[0]["lr"]) == pytest.approx(0.1 / 1.05**8)


def apart(one, other, run, seed, device):
    """How far two weight vectors are apart, as a share of the way from the start to the second."""
    start = weights(Training(run, seeds=[seed], device=device))
    return ((one - other).norm() / (other - start).norm()).item()


def far(run):
    """Adam makes steps of the rounding in a gradient that is 0, such as that of a bias before batch normalisation."""
    return 5e-2 if run.optimiser == "adam" else 1e-3


@pytest.mark.cuda
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seeds", [[4], [4, 7]])
def test_the_captured_graph_computes_what_eager_computes(name, seeds):
    run = small(name)
    eager, slow = finished(run, device="cuda", seeds=seeds, graph=False, precision="fp32")
    graph, fast = finished(run, device="cuda", seeds=seeds, graph=True, precision="fp32")
    assert apart(weights(graph, 4), weights(eager, 4), run, 4, "cuda") < far(run)
    for a, b in zip(slow, fast, strict=True):
        assert a[-1].d_loss == pytest.approx(b[-1].d_loss, abs=1e-3)
        assert a[-1].g_loss == pytest.approx(b[-1].g_loss, abs=1e-3)


@pytest.mark.cuda
def test_a_captured_schedule_gives_the_weights_that_eager_gives_after_many_iterations():
    """SGD with a moving rate and momentum, over more iterations than one plan holds: not merely nearly so."""
    run = small("mnist-paper", momentum_epochs=3, epoch=2, lr_decay=1.05, iterations=26, every=8)
    eager, _ = finished(run, device="cuda", graph=False, precision="fp32")
    graph, _ = finished(run, device="cuda", graph=True, precision="fp32")
    torch.testing.assert_close(weights(graph), weights(eager), atol=1e-5, rtol=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("name", SMALL)
def test_many_seeds_on_cuda_are_their_own_runs(name):
    run = small(name)
    together, _ = finished(run, device="cuda", seeds=[1, 2], precision="fp32")
    alone, _ = finished(run, device="cuda", seeds=[2], precision="fp32")
    assert apart(weights(together, 2), weights(alone), run, 2, "cuda") < far(run)


@pytest.mark.cuda
@pytest.mark.parametrize(("precision", "most"), [("tf32", 0.02), ("bf16", 0.1)])
@pytest.mark.parametrize("seeds", [[1], [0, 1]])
def test_a_step_in_fewer_bits_is_near_that_in_float32(precision, most, seeds):
    # Smaller products may stay in float32.
    run = small("mnist-paper", iterations=1, every=1, width=256, units=64, m=64)
    fewer, exact = (weights(finished(run, device="cuda", seeds=seeds, precision=p)[0], 1) for p in (precision, "fp32"))
    assert 0 < apart(fewer, exact, run, 1, "cuda") < most


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("name", "seeds", "graph"),
    [
        *((name, [4, 7], True) for name in SMALL),
        *((n, [4], g) for n in ("mnist-paper", "ring8") for g in (True, False)),
    ],
)
def test_a_run_on_cuda_resumes_to_the_same_bits(name, seeds, graph):
    run = small(name)
    whole, _ = finished(run, device="cuda", seeds=seeds, graph=graph)
    first = Training(run, device="cuda", seeds=seeds, graph=graph)
    steps = iter(range(6))
    list(first.reports(stop=lambda: next(steps, None) is None))
    second = Training(run, device="cuda", seeds=seeds, graph=graph)
    second.load({key: tensor.clone() for key, tensor in first.state().items()})
    list(second.reports())
    final, expected = second.state(), whole.state()
    differing = [key for key in expected if not torch.equal(final[key], expected[key])]
    assert differing == []
