"""Parameter counts are the papers'; the layers are checked against their definitions."""

import math

import pytest
import torch
from torch import nn

from ganlib.nets import (
    MLP,
    BatchNormGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    DeconvGenerator,
    Maxout,
    MaxoutConv,
    MaxoutConvDiscriminator,
    MaxoutDiscriminator,
    PaperGenerator,
    StackedGenerator,
    count_parameters,
)
from ganlib.nets.layers import Dropout


def test_paper_pair_has_the_papers_sizes():
    generator, discriminator = PaperGenerator(), MaxoutDiscriminator()
    assert count_parameters(generator) == 2_503_984
    assert count_parameters(discriminator) == 1_231_441
    images = generator(torch.rand(3, 100))
    assert images.shape == (3, 784)
    assert 0 < images.min() < images.max() < 1
    assert discriminator(images).shape == (3,)


def test_paper_pair_has_the_papers_initialisation():
    torch.manual_seed(0)
    means = torch.linspace(0, 1, 784)
    generator, discriminator = PaperGenerator(pixel_means=means), MaxoutDiscriminator()
    for net, bound in ((generator, 0.05), (discriminator, 0.005)):
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                assert parameter.abs().max() <= bound
                assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
    # With the latent switched off, G emits the pixel means.
    torch.testing.assert_close(generator(torch.zeros(1, 100))[0], means, atol=2e-4, rtol=0)


def face_generator(latent_dim=100, hidden=8000, outputs=2304, nonzero=100):
    return PaperGenerator(latent_dim, hidden, outputs=outputs, second="sigmoid", second_bias=-2.0, nonzero=nonzero)


def test_the_papers_larger_networks_have_its_sizes():
    with torch.device("meta"):  # counted, not allocated
        stage1 = face_generator()
        counts = {
            "tfd, stage 1": (count_parameters(stage1), count_parameters(MaxoutDiscriminator(2304, 1200))),
            "tfd, stage 2": (
                count_parameters(StackedGenerator(stage1)),
                count_parameters(MaxoutDiscriminator(2304, 1200)),
            ),
            "cifar-10, fully connected": (
                count_parameters(PaperGenerator(hidden=8000, outputs=3072, second="sigmoid", output="linear")),
                count_parameters(MaxoutDiscriminator(3072, 1600)),
            ),
            "cifar-10, convolutional": (
                count_parameters(DeconvGenerator()),
                count_parameters(MaxoutConvDiscriminator()),
            ),
        }
    assert counts == {
        "tfd, stage 1": (83_250_304, 21_037_201),
        "tfd, stage 2": (84_858_404, 21_037_201),
        "cifar-10, fully connected": (89_395_072, 37_393_601),
        "cifar-10, convolutional": (64_825_072, 12_454_073),
    }


def test_face_generator_computes_its_layers():
    generator, z = face_generator(5, 30, 8, nonzero=4), torch.randn(6, 5)
    h = torch.relu(z @ generator.hidden1.weight.T + generator.hidden1.bias)
    h = torch.sigmoid(h @ generator.hidden2.weight.T + generator.hidden2.bias)
    expected = torch.sigmoid(h @ generator.output.weight.T + generator.output.bias)
    torch.testing.assert_close(generator(z), expected)


def test_face_generator_starts_as_the_papers_did():
    torch.manual_seed(0)
    means = torch.linspace(0.1, 0.9, 700)
    generator = PaperGenerator(100, 400, means, outputs=700, second="sigmoid", second_bias=-2.0, nonzero=100)
    weight = generator.output.weight
    assert ((weight != 0).sum(1) == 100).all()  # 100 distinct inputs each
    drawn = weight[weight != 0]
    assert drawn.mean().item() == pytest.approx(0, abs=4 / math.sqrt(len(drawn)))
    assert drawn.std().item() == pytest.approx(1, rel=0.02)
    # Every input is as likely: a unit's 100 of 400, so 175 of the 700 units, standard deviation 11.5.
    assert (weight != 0).sum(0).float().sub(175).abs().max() < 5 * 11.5
    assert (generator.hidden2.bias == -2).all()
    assert (generator.hidden1.bias == 0).all()
    torch.testing.assert_close(torch.sigmoid(generator.output.bias), means)
    assert generator.hidden2.weight.abs().max() <= 0.05


def test_stacked_generator_feeds_the_one_behind_and_trains_all_of_it():
    back = face_generator(7, 30, 8, nonzero=4)
    stacked, z = StackedGenerator(back, latent_dim=5, hidden=20), torch.randn(6, 5)
    h = torch.relu(z @ stacked.hidden1.weight.T + stacked.hidden1.bias)
    h = torch.sigmoid(h @ stacked.hidden2.weight.T + stacked.hidden2.bias)
    torch.testing.assert_close(stacked(z), back(h))
    assert (stacked.hidden2.bias == -2).all()
    stacked(z).sum().backward()
    assert all(parameter.grad is not None for parameter in stacked.parameters())


def test_linear_generator_is_unbounded_and_its_output_weights_are_wider():
    torch.manual_seed(0)
    generator = PaperGenerator(10, 40, outputs=300, second="sigmoid", output="linear", output_range=0.5)
    assert 0.45 < generator.output.weight.abs().max() <= 0.5
    assert generator.hidden1.weight.abs().max() <= 0.05
    images = generator(torch.randn(50, 10))
    assert images.min() < 0
    assert images.max() > 1


def test_deconvolution_is_the_sum_of_its_stamped_kernels():
    torch.manual_seed(0)
    generator, z = DeconvGenerator(latent_dim=4, hidden=200), torch.randn(2, 4)
    torch.nn.init.normal_(generator.bias)
    h = torch.sigmoid(generator.hidden2(torch.relu(generator.hidden1(z)))).view(2, 2, 10, 10)
    expected = generator.bias.expand(2, 3, 32, 32).clone()
    for row in range(10):
        for column in range(10):
            stamp = torch.einsum("mi,iokl->mokl", h[:, :, row, column], generator.output.weight)
            expected[:, :, 3 * row : 3 * row + 5, 3 * column : 3 * column + 5] += stamp
    torch.testing.assert_close(generator(z), expected)
    assert generator.bias.shape == (3, 32, 32)  # one for every output pixel


def test_maxout_convolution_is_the_largest_piece_pooled_with_overhanging_windows():
    torch.manual_seed(0)
    layer, x = MaxoutConv(2, 3, 2, kernel=4, padding=1, pool=4, stride=2), torch.randn(2, 2, 10, 10)
    weight, bias = layer.convolution.weight, layer.convolution.bias
    pieces = [nn.functional.conv2d(x, weight[i : i + 3], bias[i : i + 3], padding=1) for i in (0, 3)]
    maps = torch.maximum(*pieces)
    assert maps.shape[-1] == 9
    rows = [maps[:, :, i : i + 4] for i in range(0, 8, 2)]  # the last window, from 6, overhangs the 9 rows
    expected = torch.stack(
        [torch.stack([r[..., j : j + 4].amax((2, 3)) for j in range(0, 8, 2)], -1) for r in rows], -2
    )
    torch.testing.assert_close(layer(x), expected)


def test_convolutional_discriminator_has_the_papers_geometry_and_initialisation():
    torch.manual_seed(0)
    discriminator = MaxoutConvDiscriminator(units=6)
    shapes = []
    for layer in discriminator.layers:
        if isinstance(layer, MaxoutConv):
            layer.register_forward_hook(lambda module, x, y: shapes.append(tuple(y.shape[1:])))
    assert discriminator(torch.randn(2, 3, 32, 32)).shape == (2,)
    assert shapes == [(32, 16, 16), (32, 7, 7), (192, 5, 5)]
    for name, parameter in discriminator.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all()
        else:
            assert parameter.abs().max() <= 0.005
            assert parameter.std().item() == pytest.approx(0.005 / math.sqrt(3), rel=0.5)


def test_maxout_is_the_largest_of_its_pieces():
    layer, x = Maxout(4, 3, 5), torch.randn(7, 4)
    weight, bias = layer.affine.weight.view(5, 3, 4), layer.affine.bias.view(5, 3)
    expected = torch.stack([(weight[:, u] @ x.T + bias[:, u][:, None]).max(0).values for u in range(3)], dim=1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("discriminator", "shape"),
    [(MaxoutDiscriminator(12, units=6), (500, 12)), (MaxoutConvDiscriminator(units=24), (16, 3, 32, 32))],
)
def test_dropout_keeps_the_papers_shares_of_every_layers_input_and_stops_in_evaluation(discriminator, shape):
    """Counted on what goes into each dropout and what comes out: 0, or the input divided by the share."""
    torch.manual_seed(0)
    order, fed = [], []

    def dropped(module, inputs, output):
        order.append("dropout")
        fed.append((inputs[0].detach(), output.detach()))

    for module in discriminator.modules():
        if isinstance(module, Dropout):
            module.register_forward_hook(dropped)
        elif isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(lambda m, x, y: order.append("weights"))
    x = torch.rand(shape)
    discriminator(x)
    assert order == ["dropout", "weights"] * len(fed)
    for share, (before, after) in zip([0.8] + [0.5] * (len(fed) - 1), fed, strict=True):
        some = before != 0
        kept = some & (after != 0)
        n = some.sum().item()
        assert kept.sum().item() / n == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
        torch.testing.assert_close(after[kept], before[kept] / share)
    torch.nn.init.normal_(next(reversed(list(discriminator.parameters()))))
    assert not torch.equal(discriminator(x), discriminator(x))
    discriminator.eval()
    assert torch.equal(discriminator(x), discriminator(x))


def test_batch_norm_generator_is_the_teaching_pairs():
    generator = BatchNormGenerator()
    widths = [layer.out_features for layer in generator.layers if isinstance(layer, nn.Linear)]
    assert widths == [128, 256, 512, 1024, 784]
    norms = [layer for layer in generator.layers if isinstance(layer, nn.BatchNorm1d)]
    assert [(norm.num_features, norm.eps, norm.momentum) for norm in norms] == [
        (n, 1e-5, 0.1) for n in (256, 512, 1024)
    ]
    assert isinstance(generator.layers[1], nn.LeakyReLU)  # no normalisation after the first layer
    images = generator(torch.randn(4, 100))
    assert images.shape == (4, 784)
    assert images.abs().max() < 1


def test_dcgan_64_has_the_counts_of_the_usual_network():
    assert count_parameters(DCGANGenerator(64, channels=3)) == 3_576_704
    assert count_parameters(DCGANDiscriminator(64, channels=3)) == 2_765_568


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_maps_latents_to_images_to_logits(size, channels):
    generator, discriminator = DCGANGenerator(size, channels, width=4), DCGANDiscriminator(size, channels, width=4)
    images = generator(torch.randn(2, 100))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (2,)


CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def obeyed(generator, discriminator):
    """Which of DCGAN's five guidelines a pair obeys, judged by the modules that were built, not by their source."""
    g, d = list(generator.layers), list(discriminator.layers)
    g_after, d_after = (
        [type(each) for x, each in zip(net, [*net[1:], None], strict=True) if isinstance(x, CONVOLUTIONS)]
        for net in (g, d)
    )
    g_strides, d_strides = ([x.stride for x in net if isinstance(x, CONVOLUTIONS)] for net in (g, d))
    activations = (nn.ReLU, nn.LeakyReLU, nn.Tanh)
    allowed = (*CONVOLUTIONS, nn.BatchNorm2d, *activations, nn.Linear)
    rules = {
        1: all(isinstance(x, allowed) for x in g + d)  # no pooling, no upsampling
        and set(g_strides[1:] + d_strides[:-1]) == {(2, 2)},
        2: set(g_after[:-1]) == {nn.BatchNorm2d}
        and g_after[-1] is nn.Tanh
        and d_after[0] is nn.LeakyReLU
        and set(d_after[1:-1]) == {nn.BatchNorm2d},
        3: not any(isinstance(x, nn.Linear) for x in g + d),
        4: isinstance(g[-1], nn.Tanh) and {type(x) for x in g[:-1] if isinstance(x, activations)} == {nn.ReLU},
        5: {(type(x), x.negative_slope) for x in d if isinstance(x, activations)} == {(nn.LeakyReLU, 0.2)},
    }
    return {rule for rule, kept in rules.items() if kept}


@pytest.mark.parametrize("size", [28, 64])
def test_dcgan_obeys_the_five_guidelines(size):
    generator, discriminator = DCGANGenerator(size), DCGANDiscriminator(size)
    assert obeyed(generator, discriminator) == {1, 2, 3, 4, 5}
    doublings = 2 if size == 28 else 4
    assert [x.stride for x in generator.layers if isinstance(x, nn.ConvTranspose2d)][1:] == [(2, 2)] * doublings
    both = [*generator.layers, *discriminator.layers]
    assert all(layer.eps == 1e-5 for layer in both if isinstance(layer, nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("rule", "player", "place", "layer"),
    [
        (1, "D", 1, nn.MaxPool2d(1)),
        (2, "D", 1, nn.BatchNorm2d(64)),
        (2, "G", -1, nn.BatchNorm2d(1)),
        (3, "D", 2, nn.Linear(7, 7)),
        (4, "G", 2, nn.LeakyReLU(0.2)),
        (5, "D", 4, nn.LeakyReLU(0.1)),
    ],
)
def test_a_pair_that_breaks_a_guideline_is_found(rule, player, place, layer):
    """A check that cannot fail would be worth nothing."""
    players = {"G": DCGANGenerator(), "D": DCGANDiscriminator()}
    layers = players[player].layers
    layers.insert(place % len(layers), layer)
    assert rule not in obeyed(players["G"], players["D"])


def test_dcgan_initialisation():
    torch.manual_seed(0)
    for net in (DCGANGenerator(64), DCGANDiscriminator(64)):
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.weight.numel() > 5000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("size", [0, 4, 27, 30, 48, 100])
def test_dcgan_refuses_other_sizes(size):
    for net in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match=f"size is {size}"):
            net(size)


def test_mlp_shapes_and_errors():
    assert MLP((2, 8, 1))(torch.zeros(3, 2)).shape == (3,)
    assert MLP((2, 8, 1), squeeze=False)(torch.zeros(3, 2)).shape == (3, 1)
    assert MLP((2, 8, 2), "leaky_relu")(torch.zeros(3, 2)).shape == (3, 2)
    assert count_parameters(MLP((2, 16, 16, 1))) == 2 * 16 + 16 + 16 * 16 + 16 + 16 + 1
    with pytest.raises(ValueError, match=r"sizes is \(2,\)"):
        MLP((2,))
    with pytest.raises(ValueError, match=r"'gelu'.*relu"):
        MLP((2, 1), "gelu")
    with pytest.raises(ValueError, match="pieces is 0"):
        Maxout(2, 2, 0)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: PaperGenerator(pixel_means=torch.zeros(10)), r"pixel_means has shape \(10,\)"),
        (lambda: PaperGenerator(pixel_means=torch.full((784,), 2.0)), r"range \[2, 2\]"),
        (
            lambda: PaperGenerator(pixel_means=torch.zeros(784), output="linear"),
            "pixel_means start the bias of a sigmoid",
        ),
        (lambda: PaperGenerator(second="gelu"), "second is 'gelu'; there are relu, sigmoid, linear"),
        (lambda: PaperGenerator(hidden=0), "hidden is 0"),
        (lambda: PaperGenerator(hidden=50, nonzero=51), "nonzero is 51"),
        (lambda: StackedGenerator(PaperGenerator(hidden=2), hidden=0), "hidden is 0"),
        (lambda: DeconvGenerator(hidden=150), "hidden is 150.*multiple of 100"),
        (lambda: DeconvGenerator(channels=0), "channels is 0"),
        (lambda: MaxoutConv(1, 1, 0, 1, 0, 1, 1), "pieces is 0"),
        (lambda: BatchNormGenerator(width=0), "width is 0"),
    ],
)
def test_impossible_networks_are_refused_by_name(build, says):
    with pytest.raises(ValueError, match=says):
        build()


def test_a_single_latent_or_many_axes_of_them_go_through_fully_connected_nets():
    torch.manual_seed(0)
    back = PaperGenerator(3, 8, outputs=4)
    for net in (MLP((3, 8, 4)), back, StackedGenerator(back, 3, 8)):
        z = torch.randn(2, 5, 3)
        torch.testing.assert_close(net(z).flatten(0, 1), net(z.flatten(0, 1)))
        torch.testing.assert_close(net(z[0, 0]), net(z[0])[0])
        with pytest.raises(ValueError, match=r"is \(2, 4\); the net takes \(\.\.\., 3\)"):
            net(torch.zeros(2, 4))
