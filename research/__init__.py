"""Comparisons of the methods, studies of the papers' claims, benchmarks, and their libraries."""
