"""Benchmarks: each makes its own data and prints ratios. `make bench` runs them."""
