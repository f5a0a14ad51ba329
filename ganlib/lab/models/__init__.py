"""The models that the paper is compared with, trained here on the same digits: a VAE and an RBM."""
