"""Benchmarks of ganlib: each script prints ratios measured side by side in one run. See README.md."""
