"""Benchmarks: each measures the package and its peers in the same run."""
