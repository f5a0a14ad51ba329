"""Parameter counts are the papers'; the layers are checked against their definitions."""

import math

import pytest
import torch
from torch import nn

from ganlib.nets import (
    MLP,
    DCGANDiscriminator,
    DCGANGenerator,
    Maxout,
    MaxoutDiscriminator,
    PaperGenerator,
    count_parameters,
)


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


def test_maxout_is_the_largest_of_its_pieces():
    layer, x = Maxout(4, 3, 5), torch.randn(7, 4)
    weight, bias = layer.affine.weight.view(3, 5, 4), layer.affine.bias.view(3, 5)
    expected = torch.stack([(weight[u] @ x.T + bias[u][:, None]).max(0).values for u in range(3)], dim=1)
    torch.testing.assert_close(layer(x), expected)


def test_dropout_keeps_the_papers_shares_and_stops_in_evaluation(monkeypatch):
    seen = []
    real_dropout = nn.functional.dropout
    monkeypatch.setattr(nn.functional, "dropout", lambda x, p, training: seen.append(p) or real_dropout(x, p, training))
    discriminator, x = MaxoutDiscriminator(), torch.rand(50, 784)
    discriminator(x)
    assert seen == [0.2, 0.5, 0.5]
    assert not torch.equal(discriminator(x), discriminator(x))
    discriminator.eval()
    assert torch.equal(discriminator(x), discriminator(x))


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


@pytest.mark.parametrize("size", [28, 64])
def test_dcgan_obeys_the_five_guidelines(size):
    generator, discriminator = list(DCGANGenerator(size).layers), list(DCGANDiscriminator(size).layers)
    both = generator + discriminator
    allowed = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU, nn.Tanh)
    assert all(isinstance(layer, allowed) for layer in both)  # no pooling, no upsampling, no fully connected layer
    assert [layer.stride for layer in generator if isinstance(layer, nn.ConvTranspose2d)][1:] == [(2, 2)] * (
        2 if size == 28 else 4
    )
    assert isinstance(generator[-1], nn.Tanh)
    assert isinstance(generator[-2], nn.ConvTranspose2d)  # no batchnorm on G's output
    assert not isinstance(discriminator[1], nn.BatchNorm2d)  # nor on D's input layer
    assert {type(layer) for layer in generator if isinstance(layer, nn.ReLU | nn.LeakyReLU)} == {nn.ReLU}
    leaky = [layer for layer in discriminator if isinstance(layer, nn.ReLU | nn.LeakyReLU)]
    assert {(type(layer), layer.negative_slope) for layer in leaky} == {(nn.LeakyReLU, 0.2)}
    assert all(layer.eps == 1e-5 for layer in both if isinstance(layer, nn.BatchNorm2d))


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
    with pytest.raises(ValueError, match="pixel_means"):
        PaperGenerator(pixel_means=torch.zeros(10))
