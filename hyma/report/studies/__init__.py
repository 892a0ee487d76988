"""The studies' pages and pictures."""
