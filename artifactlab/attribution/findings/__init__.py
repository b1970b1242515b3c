"""Causes of bad edges that are no site's own lattice."""
