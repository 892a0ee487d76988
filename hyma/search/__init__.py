"""HYMA: the hypernetwork, its closed-form start, its training, refining, and what it costs.

An edit here trains HYMA again and what builds on it, never the grid.
"""
