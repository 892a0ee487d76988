"""Connectors and how they are trained: pure functions on tensors, grid search, what it costs.

The oracle's figures rest on it: an edit here trains the whole grid again.
"""
