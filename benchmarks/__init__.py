"""Measurements of speed, size, scale and what disturbs; no tests."""
