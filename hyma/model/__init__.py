"""The model that a search ends in: a folder that loads anywhere, and what is done with it."""
