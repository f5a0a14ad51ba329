"""The models that the paper is compared with, trained here on the same digits: Table 1's other rows, and a VAE."""
