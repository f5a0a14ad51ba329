"""A machine of 4 visible and 3 hidden units against the enumeration of its 128 states; training; the file."""

import math
from itertools import product

import pytest
import torch

from ganlib import data
from ganlib.errors import CheckpointError, Diverged
from ganlib.lab import checkpoint
from ganlib.lab.models import rbm
from ganlib.lab.models.rbm import RBM

V, H = (torch.tensor(list(product((0.0, 1.0), repeat=n)), dtype=torch.float64) for n in (4, 3))
# Two patterns and their neighbours: what a product of independent units cannot fit.
PATTERNS = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]])


def machine(seed=0, scale=1.0):
    """4 x 3 units with weights and biases large enough to matter, in float64."""
    tiny, rng = RBM(4, 3).double(), torch.Generator().manual_seed(seed)
    for name, size in (("weight", (4, 3)), ("visible_bias", (4,)), ("hidden_bias", (3,))):
        setattr(tiny, name, scale * torch.randn(size, generator=rng, dtype=torch.float64))
    return tiny


def joint(tiny):
    """log p(v, h), (16, 8), by enumeration: the definition, with nothing of the module's."""
    energy = -(V @ tiny.weight @ H.T) - (V @ tiny.visible_bias)[:, None] - (H @ tiny.hidden_bias)[None, :]
    return -energy - torch.logsumexp(-energy, dim=(0, 1))


def exact(tiny):
    return joint(tiny).logsumexp(1)


def index(v):
    """The row of V that each state is."""
    return (v.long() * torch.tensor([8, 4, 2, 1])).sum(1)


def test_conditionals_are_those_of_the_joint_law():
    tiny = machine()
    p = joint(tiny).exp()
    torch.testing.assert_close(tiny.hidden_probabilities(V), (p / p.sum(1, keepdim=True)) @ H)
    torch.testing.assert_close(tiny.visible_probabilities(H), (p / p.sum(0)).T @ V)


def test_free_energy_is_minus_log_p_up_to_one_constant():
    tiny = machine()
    constant = tiny.free_energy(V) + exact(tiny)
    torch.testing.assert_close(constant, constant[:1].expand(16))
    assert tiny.free_energy(V).std() > 0.5


def test_gradient_of_the_log_likelihood_is_the_difference_of_statistics():
    tiny, images = machine(), PATTERNS.double()
    names = ("weight", "visible_bias", "hidden_bias")
    for name in names:
        getattr(tiny, name).requires_grad_()
    by_autograd = torch.autograd.grad(exact(tiny)[index(images)].mean(), [getattr(tiny, name) for name in names])
    p = exact(tiny).detach().exp()
    with torch.no_grad():
        own = tiny.statistics(images)
        # The model's statistics are expectations under the exact law: each state's, weighted.
        model = [
            sum(w * each[i] for w, each in zip(p, map(tiny.statistics, V[:, None]), strict=True)) for i in range(3)
        ]
    for found, a, b in zip(by_autograd, own, model, strict=True):
        torch.testing.assert_close(a - b, found)


def test_one_gibbs_step_leaves_the_exact_law_as_it_is():
    # The step's transition matrix by enumeration of the module's own conditionals.
    tiny = machine()
    h_given_v = _product(tiny.hidden_probabilities(V), H)
    v_given_h = _product(tiny.visible_probabilities(H), V)
    p = exact(tiny).exp()
    torch.testing.assert_close(p @ h_given_v @ v_given_h, p)


def _product(probabilities, states):
    each = probabilities[:, None] * states + (1 - probabilities[:, None]) * (1 - states)
    return each.prod(2)


def test_long_run_histogram_is_the_exact_law():
    tiny, rng = machine(), torch.Generator().manual_seed(1)
    v, counts = torch.zeros(4000, 4, dtype=torch.float64), torch.zeros(16)
    v = tiny.gibbs(v, 50, rng)
    for _ in range(50):
        v = tiny.gibbs(v, 5, rng)
        counts += torch.bincount(index(v), minlength=16)
    p = exact(tiny).exp()
    # 4,000 independent chains give at least that many independent states: five standard errors of each frequency.
    assert ((counts / counts.sum() - p).abs() < 5 * (p * (1 - p) / 4000).sqrt()).all()
    assert (p.max() - p.min()) > 0.1


def test_one_step_from_a_given_state_has_the_conditional_law():
    tiny, rng = machine(1), torch.Generator().manual_seed(2)
    start = V[5].expand(20_000, 4)
    counts = torch.bincount(index(tiny.gibbs(start, 1, rng)), minlength=16)
    p = (_product(tiny.hidden_probabilities(V), H) @ _product(tiny.visible_probabilities(H), V))[5]
    assert ((counts / 20_000 - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt()).all()


def test_states_are_binary_and_the_start_is_left_alone():
    tiny, rng = machine(), torch.Generator().manual_seed(0)
    start = torch.zeros(10, 4, dtype=torch.float64)
    found = tiny.gibbs(start, 3, rng)
    assert ((found == 0) | (found == 1)).all()
    assert not start.any()
    assert tiny.gibbs(start, 0, rng) is start


def test_training_raises_the_exact_log_likelihood():
    tiny = RBM(4, 3, PATTERNS.double().mean(0)).double()
    before = exact(tiny)[index(PATTERNS)].mean()
    list(rbm.train(tiny, PATTERNS, iterations=3000, every=3000, m=50, lr=0.1))
    after = exact(tiny)[index(PATTERNS)].mean()
    entropy = -(0.8 * math.log(0.4) + 0.2 * math.log(0.2))  # no model of these five images does better
    assert before < -1.6
    assert -entropy - 0.15 < after <= -entropy


def test_training_is_deterministic_and_leaves_the_global_generator_alone():
    def trained(seed):
        net = RBM(4, 3, seed=seed)
        return list(rbm.train(net, PATTERNS, iterations=30, every=10, m=5, seed=seed)), net.weight

    state = torch.get_rng_state()
    once, weight = trained(0)
    torch.rand(3)
    again, same = trained(0)
    assert once == again
    assert len(once) == 3
    assert torch.equal(weight, same)
    assert not torch.equal(weight, trained(1)[1])
    torch.set_rng_state(state)
    trained(0)
    assert torch.equal(torch.get_rng_state(), state)


def test_digits_get_a_lower_free_energy_than_noise_of_the_same_means():
    images = data.load("digits").pixels.flatten(1) > 127
    means = images.float().mean(0)
    net = RBM(784, 64, means)
    list(rbm.train(net, images, iterations=300, every=300))
    held_out = (data.load("digits", "test").pixels.flatten(1) > 127).float()
    noise = (torch.rand(500, 784, generator=torch.Generator().manual_seed(0)) < means).float()
    assert net.free_energy(held_out).mean() < net.free_energy(noise).mean() - 20


def test_untrained_machine_starts_at_the_given_means():
    means = torch.tensor([0.0, 0.3, 0.5, 1.0])
    net = RBM(4, 3, means)
    net.weight.zero_()
    torch.testing.assert_close(net.visible_probabilities(torch.zeros(1, 3))[0], means.clamp(0.001, 0.999))


def test_file_gives_the_machine_back_in_half_precision(tmp_path):
    path = tmp_path / "rbm.safetensors"
    path.write_bytes(rbm.file(machine().float(), 5))
    found = rbm.load(path)
    for name, tensor in machine().float().state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor.half().float())


def test_files_that_are_no_machine_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="absent"):
        rbm.load(tmp_path / "absent")
    tensors = machine().state_dict()
    for kind, held in (("other", tensors), ("rbm", tensors | {"weight": torch.zeros(3, 4)}), ("rbm", {})):
        with pytest.raises(CheckpointError, match="holds no restricted Boltzmann machine"):
            rbm.load(checkpoint.save(tmp_path / kind, 0, held, {"kind": kind}, {}))
    content = rbm.file(machine(), 5)
    (tmp_path / "damaged").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="does not match its SHA-256"):
        rbm.load(tmp_path / "damaged")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RBM(0, 3), "visible is 0"),
        (lambda: RBM(4, -1), "hidden is -1"),
        (lambda: RBM(4, 3, torch.zeros(5)), r"means has shape \(5,\)"),
        (lambda: RBM(4, 3, torch.full((4,), 1.5)), r"in \[0, 1\]"),
        (lambda: rbm.train(RBM(4, 3), PATTERNS, iterations=0, every=1), "iterations is 0"),
        (lambda: rbm.train(RBM(4, 3), PATTERNS, iterations=1, every=0), "every is 0"),
        (lambda: rbm.train(RBM(4, 3), PATTERNS, iterations=1, every=1, m=0), "m is 0"),
        (lambda: rbm.train(RBM(4, 3), PATTERNS, iterations=1, every=1, lr=-1.0), "lr is -1.0"),
        (lambda: rbm.train(RBM(5, 3), PATTERNS, iterations=1, every=1), r"needs \(n, 5\)"),
        (lambda: rbm.train(RBM(4, 3), PATTERNS[:0], iterations=1, every=1), "n >= 1"),
        (lambda: rbm.train(RBM(4, 3), PATTERNS / 2, iterations=1, every=1), "other than 0 and 1"),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_divergence_is_reported():
    net = RBM(4, 3)
    net.weight.fill_(math.nan)
    with pytest.raises(Diverged, match="by iteration 2"):
        list(rbm.train(net, PATTERNS, iterations=4, every=2))


def test_weights_beyond_half_precision_keep_their_own(tmp_path):
    net = RBM(4, 3)
    net.weight.fill_(1e6)
    (tmp_path / "rbm").write_bytes(rbm.file(net, 0))
    assert torch.equal(rbm.load(tmp_path / "rbm").weight, net.weight)
