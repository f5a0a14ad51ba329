"""Measuring a generator: Parzen windows (the paper's), modes, neighbours and a two-sample test."""
