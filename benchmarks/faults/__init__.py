"""Faults put in on purpose: what is left of a run that was disturbed."""
