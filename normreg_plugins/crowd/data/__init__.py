"""Crowd data sets: points and pictures, their sizes, crops and flips, and the preparation of a raw data set."""
