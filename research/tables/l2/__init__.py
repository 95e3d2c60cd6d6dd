"""Studies of the L2 paper; __main__.py lists them."""
