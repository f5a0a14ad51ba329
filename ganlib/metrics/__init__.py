"""Measuring a generator: Parzen windows (the paper's), annealed importance sampling, Frechet and kernel distance,
precision and recall, modes, neighbours, duplicates, correlation and a two-sample test; k-means, whose centres beat real
images by the first."""
