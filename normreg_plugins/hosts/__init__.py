"""Thin adapters: what a host needs in order to train with this package."""
