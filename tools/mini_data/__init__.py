"""Small drawn data sets in the formats of the big ones: one module per kind, one command for all.

A kind is a module with a `RECIPE` (its default settings) and a `draw(folder, recipe)` that fills
an empty folder and returns one line for the user; `tools/make_mini_data.py` does the rest.
"""
