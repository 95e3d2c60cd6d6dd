"""The laboratory: comparisons, studies of the papers' claims and benchmarks. README.md lists commands."""
