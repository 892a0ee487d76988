"""Readers of the real on-disk formats: each turns a folder into the prepared form."""
