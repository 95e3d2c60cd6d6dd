"""The laboratory: comparisons, studies of the papers' claims, benchmarks and campaigns. README.md lists commands."""
