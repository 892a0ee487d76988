"""Experiments about the search methods themselves: the same methods on the same features, run many times."""
