"""Tests, and what they and developers share."""
