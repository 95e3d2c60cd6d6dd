"""The laboratory: comparisons, studies of the papers' claims, benchmarks and campaigns. README.md says how to run them."""
