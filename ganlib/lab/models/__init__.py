"""The models that the paper is compared with, trained here on the same digits: a VAE, an RBM, a DBN."""
