"""Studies of the WRS paper; __main__.py lists them."""
