"""Statements of three papers, tested on small nets: one folder per paper, one module per table or figure.

study.py is what all of them share. `python -m research.tables wrs` runs all studies of a paper.
"""
