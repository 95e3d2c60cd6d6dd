"""Studies of the constrained paper; __main__.py lists them."""
