"""Measurements of speed, size and scale; no tests."""
