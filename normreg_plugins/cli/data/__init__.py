"""Commands that make or prepare data sets, and their libraries."""
