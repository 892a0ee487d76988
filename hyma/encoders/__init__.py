"""Frozen encoders behind one interface, whatever library they come from."""
