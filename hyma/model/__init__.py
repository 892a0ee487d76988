"""The model that a search ends in: loading, using, exporting, indexing pictures."""
