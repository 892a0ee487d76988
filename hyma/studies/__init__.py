"""Experiments about the methods themselves: seeds, pairs a step, unseen pairs, data budget, stability."""
