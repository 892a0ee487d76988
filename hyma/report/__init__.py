"""Tables, pictures and pages of what was measured. Nothing is computed here that a metric should hold."""
