"""Studies of the AWS paper; __main__.py lists them."""
