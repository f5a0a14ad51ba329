"""A network of 4, 3 and 3 units against the enumeration of its states; its training against exact gradients."""

import math
from itertools import product

import pytest
import torch
from scipy import stats

from ganlib.errors import Diverged
from ganlib.lab.models.dbn import DBN, PersistentContrast
from ganlib.lab.models.rbm import RBM

V, H = (torch.tensor(list(product((0.0, 1.0), repeat=n)), dtype=torch.float64) for n in (4, 3))
# Two patterns and their neighbours: what a product of independent units cannot fit.
PATTERNS = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]], dtype=torch.float64)
GREY = torch.tensor([[0.9, 0.8, 0.1, 0.3], [0.1, 0.4, 1.0, 0.7]], dtype=torch.float64)
NAMES = ("weight", "visible_bias", "hidden_bias")


def fill(machine, seed):
    """Weights and biases large enough to matter."""
    rng = torch.Generator().manual_seed(seed)
    for name in NAMES:
        tensor = getattr(machine, name)
        tensor.copy_(1.5 * torch.randn(tensor.shape, generator=rng, dtype=torch.float64))
    return machine


def network(seed=0):
    tiny = DBN(4, (3, 3)).double()
    fill(tiny.first, seed)
    fill(tiny.second, seed + 100)
    return tiny


def joint(weight, visible_bias, hidden_bias):
    """log p(v, h) of a machine, by enumeration of the definition, with nothing of the module's."""
    v, h = (torch.tensor(list(product((0.0, 1.0), repeat=n)), dtype=torch.float64) for n in weight.shape)
    energy = -(v @ weight @ h.T) - (v @ visible_bias)[:, None] - (h @ hidden_bias)[None, :]
    return -energy - torch.logsumexp(-energy, dim=(0, 1))


def of(machine):
    return joint(*(getattr(machine, name) for name in NAMES))


def of_images(tiny):
    """log p(v), (16,): the sum over h1 of p(v | h1), of the first machine, and p(h1), the second one's marginal."""
    v_given_h = of(tiny.first) - of(tiny.first).logsumexp(0)
    return (v_given_h + of(tiny.second).logsumexp(1)).logsumexp(1)


def index(states):
    """The row of V or H that each state is."""
    powers = 2 ** torch.arange(states.shape[1] - 1, -1, -1)
    return (states.long() * powers).sum(1)


def hidden_of(tiny, means):
    """The row of H whose conditional means these are."""
    p = of(tiny.first).exp()
    conditional = (p / p.sum(0)).T @ V  # (8, 4)
    distance = torch.cdist(means, conditional)
    assert distance.amin(1).max() < 1e-7, "means of a binary h1, passed down"
    return distance.argmin(1)


def fits(states, p):
    """The p-value of Pearson's test that independent states, rows by number, come from p."""
    counts = torch.bincount(states, minlength=len(p))
    return stats.chisquare(counts.numpy(), (len(states) * p / p.sum()).numpy()).pvalue


def run(tiny, start, steps, seed):
    """The last means of a chain."""
    for found in tiny.chain(start, steps, torch.Generator().manual_seed(seed)):
        last = found
    return last


N = 40_000  # chains: their last states are independent of each other
START = V[5].expand(N, 4)


def test_top_layer_settles_at_the_upper_machines_marginal():
    tiny = network()
    p = of(tiny.second).logsumexp(1).exp()
    lower = of(tiny.first).logsumexp(0).exp()  # the lower machine's own, which the upper one stands in the place of
    assert (p - lower).abs().max() > 0.1
    found = hidden_of(tiny, run(tiny, START, 40, 1))
    assert fits(found, p) > 1e-3
    assert fits(found, lower) < 1e-12


def test_images_have_the_enumerated_distribution():
    tiny = network()
    p = of_images(tiny).exp()
    assert p.sum().item() == pytest.approx(1)
    means = run(tiny, START, 40, 2)
    images = (torch.rand(N, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) < means).double()
    assert fits(index(images), p) > 1e-3
    # Neither the first machine alone nor independent pixels of the same means would pass.
    assert fits(index(images), of(tiny.first).logsumexp(1).exp()) < 1e-12
    pixels = p @ V
    assert fits(index(images), (V * pixels + (1 - V) * (1 - pixels)).prod(1)) < 1e-12


def test_first_step_is_the_start_passed_up_and_one_transition():
    tiny = network(1)
    grey = GREY[0]
    up = torch.sigmoid(grey @ tiny.first.weight + tiny.first.hidden_bias)
    h1 = (H * up + (1 - H) * (1 - up)).prod(1)
    p = of(tiny.second).exp()
    transition = (p / p.sum(1, keepdim=True)) @ (p / p.sum(0)).T  # h1 to h2 to h1
    (means,) = tiny.chain(grey.expand(N, 4), 1, torch.Generator().manual_seed(4))
    assert fits(hidden_of(tiny, means), h1 @ transition) > 1e-3
    assert fits(hidden_of(tiny, means), p.sum(1)) < 1e-12


def test_chain_is_as_long_as_asked_and_repeatable():
    tiny, start = network(), GREY.clone()
    state = torch.get_rng_state()
    once, again = (list(tiny.chain(start, 5, torch.Generator().manual_seed(7))) for _ in range(2))
    assert len(once) == 5
    assert all(map(torch.equal, once, again))
    assert not torch.equal(once[-1], run(tiny, start, 5, 8))
    assert torch.equal(start, GREY)
    assert torch.equal(torch.get_rng_state(), state)


def test_upper_machine_turned_over_leaves_the_distribution_of_images_as_it_is():
    """Hinton, Osindero & Teh (2006): a second layer of tied weights changes nothing."""
    tiny = network()
    tiny.second.weight.copy_(tiny.first.weight.T[:, :3])
    assert (of_images(tiny) - of(tiny.first).logsumexp(1)).abs().max() > 0.1  # one unit is missing
    tied = DBN(4, (3, 4)).double()
    tied.first = tiny.first
    tied.second.weight.copy_(tiny.first.weight.T)
    tied.second.visible_bias.copy_(tiny.first.hidden_bias)
    tied.second.hidden_bias.copy_(tiny.first.visible_bias)
    exact = of(tiny.first).logsumexp(1)
    torch.testing.assert_close(of_images(tied), exact)
    # The same by the module's own conditional and marginal ...
    down = tied.first.visible_probabilities(H)
    v_given_h = (V[:, None] * down + (1 - V[:, None]) * (1 - down)).prod(2)
    torch.testing.assert_close(v_given_h @ torch.softmax(-tied.second.free_energy(H), 0), exact.exp())
    # ... and by its chain.
    means = run(tied, START, 60, 5)
    images = (torch.rand(N, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(6)) < means).double()
    assert fits(index(images), exact.exp()) > 1e-3


def test_update_is_the_exact_gradient_on_average():
    """One update, with many grey images and with chains that are exact samples of the model."""
    machine, m, lr = fill(RBM(4, 3).double(), 3), 400_000, 0.5
    before = [getattr(machine, name).clone().requires_grad_() for name in NAMES]
    # The mean over all binary images of each grey one, by enumeration, not at the grey values.
    weights = torch.stack([(V * x + (1 - V) * (1 - x)).prod(1) for x in GREY]).mean(0)
    gradient = torch.autograd.grad(weights @ joint(*before).logsumexp(1), before)
    training = PersistentContrast(machine, GREY.repeat(m // 2, 1), epochs=1, lr=lr, m=m)
    p = of(machine).logsumexp(1).exp()
    training.chains.copy_(V[torch.multinomial(p, m, replacement=True, generator=torch.Generator().manual_seed(1))])
    training.advance(1)
    error = 5 * math.sqrt(2 * 0.25 / m)  # five standard errors of a difference of two means of numbers in [0, 1]
    for name, old, exact in zip(NAMES, before, gradient, strict=True):
        assert ((getattr(machine, name) - old.detach()) / lr - exact).abs().max() < error
        assert exact.abs().max() > 10 * error


def test_rate_falls_linearly_to_zero_and_training_ends_there(monkeypatch):
    machine = RBM(2, 1).double()
    training = PersistentContrast(machine, torch.ones(6, 2, dtype=torch.float64), epochs=2, lr=0.5, m=2)
    # Images of ones against chains kept at zeros: the visible biases grow by the rate.
    monkeypatch.setattr(RBM, "gibbs", lambda self, v, steps, rng: torch.zeros_like(v))
    biases = []
    for _ in range(6):
        training.advance(1)
        biases.append(machine.visible_bias[0].item())
    rates = [0.5 * (1 - done / 6) for done in range(6)]
    assert biases == pytest.approx([sum(rates[: done + 1]) for done in range(6)])
    with pytest.raises(ValueError, match="updates is 1, and 0 are left of 2 epochs"):
        training.advance(1)


def test_greedy_training_raises_the_exact_log_likelihood():
    images = PATTERNS.repeat(20, 1)
    tiny = DBN(4, (3, 3), images.mean(0), seed=1).double()
    with_data = index(images)
    scores = [of(tiny.first).logsumexp(1)[with_data].mean()]
    PersistentContrast(tiny.first, images, epochs=1500, lr=0.1, m=50).advance(3000)
    scores.append(of(tiny.first).logsumexp(1)[with_data].mean())
    above = tiny.begin(images)
    scores.append(of_images(tiny)[with_data].mean())
    PersistentContrast(tiny.second, above, epochs=1500, lr=0.1, m=50).advance(3000)
    scores.append(of_images(tiny)[with_data].mean())
    entropy = -(0.8 * math.log(0.4) + 0.2 * math.log(0.2))  # no model of these five images does better
    start, first, begun, both = scores
    assert start < -2
    assert -entropy - 0.2 < first <= -entropy
    assert begun < first - 0.1  # an untrained second machine knows the units' means alone
    assert -entropy - 0.2 < both <= -entropy


def test_second_machine_begins_with_the_means_of_its_data():
    tiny = network()
    above = tiny.begin(GREY)
    torch.testing.assert_close(above, torch.sigmoid(GREY @ tiny.first.weight + tiny.first.hidden_bias))
    torch.testing.assert_close(tiny.second.visible_bias.sigmoid(), above.mean(0).clamp(0.001, 0.999))


def test_machines_have_weights_of_their_own():
    one, same, other = DBN(3, (3, 3)), DBN(3, (3, 3)), DBN(3, (3, 3), seed=1)
    assert all(map(torch.equal, one.state_dict().values(), same.state_dict().values()))
    drawn = [net.weight for dbn in (one, other) for net in (dbn.first, dbn.second)]
    assert len({round(tensor[0, 0].item(), 6) for tensor in drawn}) == 4
    assert torch.equal(DBN(2, (3, 3), torch.tensor([0.5, 0.2])).first.visible_bias[:1], torch.zeros(1))


def pcd(seed=0, **settings):
    images = GREY.float().repeat(5, 1)
    return PersistentContrast(RBM(4, 3), images, seed=seed, **({"epochs": 4, "m": 3} | settings))


@pytest.mark.parametrize("stop", [1, 3, 7])
def test_stopped_and_gone_on_with_it_ends_with_the_same_bits(stop):
    whole, first, second = (pcd() for _ in range(3))
    whole.advance(12)
    first.advance(stop)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    second.advance(12 - stop)
    state = second.state()
    assert "own.chains" in state
    assert all(torch.equal(tensor, state[name]) for name, tensor in whole.state().items())
    other = pcd(1)
    other.advance(12)
    assert not torch.equal(other.rbm.weight, whole.rbm.weight)


def test_chains_and_minibatches_are_binary_and_drawn_afresh(monkeypatch):
    seen = []
    climb = RBM.climb
    monkeypatch.setattr(RBM, "climb", lambda self, v, chains, rate: [seen.append(v), climb(self, v, chains, rate)])
    training = pcd(m=10)
    training.advance(4)
    assert ((training.chains == 0) | (training.chains == 1)).all()
    assert all(((v == 0) | (v == 1)).all() for v in seen)
    ordered = [v[v.argsort(0)[:, 0]].sum(0) for v in seen]
    assert len({tuple(v.tolist()) for v in ordered}) > 1


def test_divergence_is_said():
    training = pcd()
    training.rbm.weight.fill_(math.nan)
    with pytest.raises(Diverged, match=r"RBM: .*by update 2; lower the learning rate"):
        training.advance(2)


CPU = torch.Generator()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DBN(0, (3, 3)), "visible is 0"),
        (lambda: DBN(4, (3, 0)), "hidden is 0"),
        (lambda: DBN(4, (3,)), r"hidden is \(3,\); give two"),
        (lambda: DBN(4, 3), "hidden is 3; give two"),
        (lambda: DBN(4, (3, 3), torch.full((4,), 1.5)), r"in \[0, 1\]"),
        (lambda: DBN(4, (3, 3)).chain(torch.ones(2, 5), 1, CPU), r"start is \(2, 5\)"),
        (lambda: DBN(4, (3, 3)).chain(torch.ones(2, 4) * 2, 1, CPU), r"start lies in \[2, 2\]"),
        (lambda: DBN(4, (3, 3)).chain(torch.ones(2, 4) * math.nan, 1, CPU), "start holds values that are not finite"),
        (lambda: DBN(4, (3, 3)).chain(torch.ones(2, 4), 0, CPU), "steps is 0"),
        (lambda: DBN(4, (3, 3)).chain(torch.ones(2, 4), 1, 0), "rng is 0"),
        (lambda: DBN(4, (3, 3)).begin(torch.ones(2, 4) * -1), r"images lies in \[-1, -1\]"),
        (lambda: DBN(4, (3, 3)).begin(torch.ones(2, 4).double()), "images is torch.float64"),
        (lambda: pcd(epochs=0), "epochs is 0"),
        (lambda: pcd(lr=0.0), "lr is 0.0"),
        (lambda: pcd(m=11), "n >= m = 11"),
        (lambda: PersistentContrast(RBM(4, 3), torch.ones(5, 3), epochs=1, m=2), r"data is \(5, 3\)"),
        (lambda: PersistentContrast(RBM(4, 3), torch.ones(5, 4).double(), epochs=1, m=2), "data is torch.float64"),
        (lambda: PersistentContrast(RBM(4, 3), torch.ones(5, 4) * 2, epochs=1, m=2), r"images in \[0, 1\]"),
        (lambda: PersistentContrast(DBN(4, (3, 3)), torch.ones(5, 4), epochs=1, m=2), "give a RBM"),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises((TypeError, ValueError), match=says):
        make()
