"""Small drawn data sets in the formats of the big ones: one module for each kind of set, one command for all.

A module has a `RECIPE`, its default settings, and a `draw(folder, recipe)`, which fills an empty folder and returns a
line for the user. `tools/data/make_mini_data.py` does the rest.
"""
