"""The networks: the paper's pairs for MNIST, TFD and CIFAR-10, a small MLP for 1-D and 2-D data, and DCGAN.

Every generator maps a latent (m, latent_dim) to data; every discriminator maps data to one logit a sample, shape (m,).
D(x) of the paper is the sigmoid of that logit; `ganlib.losses` takes the logit itself.
"""

from torch import nn

from ganlib import limits
from ganlib.nets.cifar import DeconvGenerator, MaxoutConv, MaxoutConvDiscriminator
from ganlib.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from ganlib.nets.layers import Maxout
from ganlib.nets.mlp import MLP
from ganlib.nets.paper import MaxoutDiscriminator, PaperGenerator, StackedGenerator, paper_schedule
from ganlib.nets.small import BatchNormGenerator

__all__ = [
    "MLP",
    "BatchNormGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DeconvGenerator",
    "Maxout",
    "MaxoutConv",
    "MaxoutConvDiscriminator",
    "MaxoutDiscriminator",
    "PaperGenerator",
    "StackedGenerator",
    "count_parameters",
    "paper_schedule",
]


def count_parameters(net: nn.Module) -> int:
    """Number of trainable scalars of a ``torch.nn.Module``.

    Examples
    --------
    >>> count_parameters(PaperGenerator()), count_parameters(MaxoutDiscriminator())
    (2503984, 1231441)
    """
    limits.kind("net", net, nn.Module)
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
