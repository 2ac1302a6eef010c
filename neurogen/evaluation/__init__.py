"""Metrics, bootstrap intervals and the benchmark protocols. `neurogen benchmark` prints their tables."""
